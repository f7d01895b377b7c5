import { FinialError } from '../../../common/errors.ts';
import type { Call } from '../../../common/rpc/call.ts';
import { formatSelector, type Selector } from '../../../spiffe/selector.ts';
import { methodName, type WorkloadApiDependencies } from './ports.ts';

type Dependencies = Pick<WorkloadApiDependencies, 'cache' | 'log' | 'logSelectors'>;

/**
 * Refuses a workload that has no identity. The workload learns no more than that (`no identity issued` is what clients
 * look for); the operator's log says why.
 */
export function noIdentity(deps: Dependencies, call: Call, selectors: readonly Selector[]): FinialError {
  const pid = call.peer.transport === 'unix' ? call.peer.process?.pid : undefined;
  const shown = selectors.filter((one) => mayLog(one, deps.logSelectors)).map(formatSelector);
  deps.log.error('No identity issued', {
    method: methodName(call),
    service: 'WorkloadAPI',
    pid,
    registered: false,
    ...(shown.length > 0 && { selectors: shown.join(',') }),
    reason: whyNot(deps, selectors),
  });
  return new FinialError('permission-denied', 'no identity issued');
}

/** `type:value` equal to an allowed prefix, or continuing it behind a colon. */
function mayLog(selector: Selector, prefixes: readonly string[]): boolean {
  const text = formatSelector(selector);
  return prefixes.some((prefix) => text === prefix || text.startsWith(`${prefix}:`));
}

/** Why the caller has no identity, in words; selectors only where the operator allowed to log them. */
function whyNot({ cache, logSelectors }: Dependencies, selectors: readonly Selector[]): string {
  if (cache.matchingEntries(selectors).length > 0) return 'its identity is not signed yet';
  const refusals = cache.refusals(selectors);
  const [nearest] = refusals;
  if (nearest === undefined)
    return 'this agent is authorized for no registration entry; register one with this agent as parent';
  const missing = nearest.missing.filter((one) => mayLog(one, logSelectors)).map(formatSelector);
  const hidden = nearest.missing.length - missing.length;
  const names = [...missing, ...(hidden > 0 ? [`${hidden} more, shown if log_selectors allows`] : [])];
  const others = refusals.length === 1 ? 'the only entry' : `the nearest of ${refusals.length} entries`;
  return `${others}, ${nearest.entry.id} for ${nearest.entry.spiffeId}, also asks for: ${names.join(', ')}`;
}
