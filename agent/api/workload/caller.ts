import { FinialError } from '../../../common/errors.ts';
import type { Logger } from '../../../common/log/logger.ts';
import type { Call } from '../../../common/rpc/call.ts';
import { formatSelector, type Selector } from '../../../spiffe/selector.ts';
import type { WorkloadApiDependencies } from './dependencies.ts';
import { whyNoIdentity } from './no-identity.ts';

/** A logger whose lines say which call they are about. */
export function callLog(log: Logger, call: Call): Logger {
  const pid = call.peer.transport === 'unix' ? call.peer.process?.pid : undefined;
  const method = call.method.slice(call.method.lastIndexOf('/') + 1);
  const named = log.with({ method, service: 'WorkloadAPI', ...(pid === undefined ? {} : { pid }) });
  return pid === process.pid ? quiet(named) : named;
}

/** The agent's own health checks are no news for the operator. */
function quiet(log: Logger): Logger {
  const debug: Logger['debug'] = (message, fields) => log.debug(message, fields);
  return { ...log, error: debug, warn: debug, info: debug, with: (fields) => quiet(log.with(fields)) };
}

/** Refuses a request for what it says; nothing else was looked at yet. */
export function invalidRequest(log: Logger, logged: string, message: string): FinialError {
  log.error(logged);
  return new FinialError('invalid-argument', message);
}

/**
 * Refuses a caller that has no identity, and tells the operator why. The caller itself learns nothing of entries.
 *
 * @param reason in place of the entries' own, when they are not what is missing
 */
export function noIdentity(
  deps: Pick<WorkloadApiDependencies, 'cache' | 'isLoggable'>,
  log: Logger,
  selectors: readonly Selector[],
  reason = whyNoIdentity(deps.cache, selectors, deps.isLoggable),
): FinialError {
  const shown = selectors.filter(deps.isLoggable).map(formatSelector).sort();
  log.error('No identity issued', {
    registered: false,
    ...(shown.length > 0 && { selectors: shown.join(',') }),
    reason,
  });
  return new FinialError('permission-denied', 'no identity issued');
}
