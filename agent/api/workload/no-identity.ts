import { formatSelector, type Selector } from '../../../spiffe/selector.ts';
import type { WorkloadCache } from '../../cache/contract.ts';

/**
 * Says in words why a workload with these selectors has no identity. Only selectors that may be logged are named, and
 * only those of entries: the workload's own are left out.
 */
export function whyNoIdentity(
  cache: Pick<WorkloadCache, 'matchingEntries' | 'refusals'>,
  selectors: readonly Selector[],
  isLoggable: (selector: Selector) => boolean,
): string {
  const matching = cache.matchingEntries(selectors).length;
  if (matching > 0) return `${count(matching, 'entry matches', 'entries match')}, but no X509-SVID is held`;
  const refusals = cache.refusals(selectors);
  const [nearest] = refusals;
  if (nearest === undefined) return 'this agent has no entries';
  const known = `none of ${count(refusals.length, 'known entry', 'known entries')} matches`;
  if (nearest.missing.length === 0) return `${known}; entry ${nearest.entry.id} has no selectors`;
  return `${known}; the nearest, ${nearest.entry.id}, also needs ${named(nearest.missing, isLoggable)}`;
}

function named(missing: readonly Selector[], isLoggable: (selector: Selector) => boolean): string {
  const shown = missing.filter(isLoggable).map(formatSelector);
  const hidden = missing.length - shown.length;
  if (hidden > 0) {
    const prefixes = hidden === 1 ? 'its prefix' : 'their prefixes';
    shown.push(`${count(hidden, 'selector', 'selectors')} not shown; list ${prefixes} in log_selectors`);
  }
  return shown.join(', ');
}

function count(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`;
}
