import { backoffDelay, exponential } from '../../common/backoff.ts';
import type { Task } from '../../common/lifecycle.ts';
import { FinialError, messageOf } from '../../common/errors.ts';
import { shouldRenewX509Svid } from '../../spiffe/rotation.ts';
import type { AgentIdentity } from '../server-client/contract.ts';
import type { SyncDependencies } from './contract.ts';
import { taintTest } from './tainted.ts';

/** Between attempts to renew the agent's own SVID. */
const RENEWAL = exponential(5000, 120_000);

/** What a piece of work failed with; undefined when it went well. */
export type Failure = { readonly error: unknown } | undefined;

/** What the renewal of the agent's own SVID is made of. */
export interface RenewalDependencies
  extends Pick<SyncDependencies, 'bundle' | 'clock' | 'config' | 'identity' | 'log' | 'random' | 'renewIdentity'> {
  /** Lets the agent go on under a new identity. */
  adopt(next: AgentIdentity): void;
  /** Does the work and reports its failure under this line. @throws when the agent has to end */
  attempt(work: Task, whenItFails: string, signal: AbortSignal): Promise<Failure>;
}

/**
 * Renews the agent's own SVID when it is time. Its failures have a pace of their own: they must not keep the agent from
 * learning of new entries.
 *
 * @returns to be called often; throws FinialError when the SVID has expired, so that only a new start can help
 */
export function identityRenewal(deps: RenewalDependencies): Task {
  const { bundle, clock, config, identity, log, random } = deps;
  let failures = 0;
  let next = 0;

  const renewIfDue: Task = async (signal) => {
    const current = identity.current;
    const isDue =
      shouldRenewX509Svid(current, clock.now(), random, config.availabilityTarget) ||
      taintTest(bundle.current)(current.chain);
    if (!isDue) return;
    log.debug('Rotating agent SVID');
    deps.adopt(await deps.renewIdentity(current, signal));
    log.info('Successfully rotated agent SVID');
  };

  return async (signal) => {
    if (clock.steady() < next) return;
    const failure = await deps.attempt(renewIfDue, 'Could not rotate agent SVID', signal);
    if (failure === undefined) {
      failures = 0;
      next = 0;
      return;
    }
    const { notAfter, reattestable } = identity.current;
    if (clock.now() >= notAfter) {
      // The server takes no call from it any more.
      const what = reattestable ? 'reattest agent' : 'rotate agent SVID';
      const text = `current SVID has already expired and ${what} failed: ${messageOf(failure.error)}`;
      throw new FinialError('unauthenticated', text, { cause: failure.error });
    }
    next = clock.steady() + backoffDelay(RENEWAL, failures, random);
    failures += 1;
  };
}
