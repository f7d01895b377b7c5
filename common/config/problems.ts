import { FinialError } from '../errors.ts';
import { formatPosition, type Position } from './tree.ts';

/** Collects everything that is wrong with a configuration, so that an operator sees all of it at once. */
export class Problems {
  readonly #found: { readonly text: string; readonly position: Position | undefined }[] = [];

  /**
   * @param position undefined where nothing of the file can be pointed at
   * @param path names of sections and key, such as `server.ca_ttl`; may be empty
   */
  add(position: Position | undefined, path: string, what: string): void {
    const where = position === undefined ? '' : `${formatPosition(position)}: `;
    this.#found.push({ text: `${where}${path === '' ? '' : `${path}: `}${what}`, position });
  }

  get count(): number {
    return this.#found.length;
  }

  /** The problems as one error with one line each, in the order of the text. */
  toError(): FinialError {
    const line = (position: Position | undefined): number => position?.line ?? 0;
    const sorted = this.#found.toSorted((a, b) => line(a.position) - line(b.position));
    return new FinialError('invalid-argument', sorted.map(({ text }) => text).join('\n'));
  }

  /** @throws FinialError `invalid-argument` when something was added */
  throwIfAny(): void {
    if (this.count > 0) throw this.toError();
  }
}

/** The one of `known` that `name` was most likely meant to be: about a third of it mistyped at most; undefined if none. */
export function closest(name: string, known: Iterable<string>): string | undefined {
  const limit = name.length < 4 ? 1 : Math.max(2, Math.floor(name.length / 3));
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) > limit) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { name: candidate, distance };
  }
  return best?.name;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
