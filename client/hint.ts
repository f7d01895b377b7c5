import { FinialError } from '../common/errors.ts';

/** SPIFFE Workload API 8: longer hints are not supported. */
const MAX_HINT_BYTES = 1024;

/** @throws FinialError `data-loss` for a hint that is too long */
export function checkHint(hint: string): void {
  if (Buffer.byteLength(hint) > MAX_HINT_BYTES) {
    throw new FinialError('data-loss', `hint has more than ${MAX_HINT_BYTES} bytes`);
  }
}

/**
 * Drops what has the hint of something before it (SPIFFE Workload API 5.2.1: the first one counts). Without a hint
 * everything stays. The order stays.
 */
export function firstOfEachHint<T extends { readonly hint: string }>(items: readonly T[]): T[] {
  const seen = new Set<string>();
  return items.filter(({ hint }) => {
    if (hint === '') return true;
    const isFirst = !seen.has(hint);
    seen.add(hint);
    return isFirst;
  });
}
