import { backoffDelay, exponential } from '../../common/backoff.ts';
import { runTasks, type Task } from '../../common/lifecycle.ts';
import type { AgentIdentity } from '../server-client/contract.ts';
import type { Sync, SyncDependencies } from './contract.ts';
import { type Wakes, wakesOf } from './wakes.ts';
import { kindOfFailure } from './failure.ts';
import { followHints } from './hints.ts';
import { type Failure, identityRenewal } from './renewal.ts';
import { syncRound } from './round.ts';

/** The longest wait between attempts is this many intervals, but no more than eight minutes. */
const SLOWEST_INTERVALS = 48;
const SLOWEST_MS = 480_000;
/** An agent without a single SVID asks at least this often: somebody is about to register its first workload. */
const IDLE_MS = 5000;
/** Between synchronisations at the server's hint, so that a burst of changes is not a burst of those. */
const BETWEEN_HINTED_MS = 250;

/**
 * A field for the log when the agent's own SVID is from the future: the clock is behind, or was ahead when the SVID was
 * issued. No server takes it, and the errors that come of it name anything but the clock.
 */
export function clockBehind({ notBefore }: AgentIdentity, now: number): { readonly clock?: string } {
  if (now >= notBefore) return {};
  return { clock: `behind, or ahead before: this agent's own SVID is valid from ${new Date(notBefore).toISOString()}` };
}

/** Keeps the agent's entries, bundles and SVIDs up to date, and its own identity valid. */
export function synchronisation(deps: SyncDependencies): Sync {
  const { client, clock, config, feed, identity, log, random } = deps;
  const policy = exponential(config.syncInterval, Math.min(SLOWEST_MS, SLOWEST_INTERVALS * config.syncInterval));
  const round = syncRound(deps);
  let lastSuccess = 0;

  const once: Task = async (signal) => {
    await round.whole(signal);
    lastSuccess = clock.now();
  };

  const adopt = (next: AgentIdentity): void => {
    identity.publish(next);
    client.reconnect();
  };

  const attempt = async (work: Task, whenItFails: string, signal: AbortSignal): Promise<Failure> => {
    try {
      await work(signal);
      return undefined;
    } catch (error) {
      if (signal.aborted) return undefined;
      const kind = kindOfFailure(error);
      log.error(whenItFails, { error, ...clockBehind(identity.current, clock.now()) });
      if (kind !== 'retry') adopt(await deps.rejected(kind, error, signal));
      return { error };
    }
  };

  const renew = identityRenewal({ ...deps, adopt, attempt });

  const synchronise = async (wakes: Wakes, signal: AbortSignal): Promise<void> => {
    let failures = 0;
    let next = clock.steady() + backoffDelay(policy, failures, random);
    let notBefore = 0;
    while (!signal.aborted) {
      const woken = await wakes.wait(clock, Math.max(0, next - clock.steady()), signal);
      if (signal.aborted) return;
      if (woken === 'demand') {
        await attempt(round.sign, 'Failed to sign X509-SVIDs', signal);
        continue;
      }
      if (woken === 'hint') {
        // While the server fails, attempts keep their distance.
        if (failures === 0) next = Math.min(next, Math.max(notBefore, clock.steady()));
        continue;
      }
      await renew(signal);
      const began = clock.steady();
      failures = (await attempt(once, 'Synchronize failed', signal)) === undefined ? 0 : failures + 1;
      const ended = clock.steady();
      // Hints may take half of the time, however long it takes to follow one.
      notBefore = ended + Math.max(BETWEEN_HINTED_MS, ended - began);
      const delay = backoffDelay(policy, failures, random);
      next = ended + (failures === 0 && feed.svidCount === 0 ? Math.min(IDLE_MS, delay) : delay);
    }
  };

  return {
    once,
    get lastSuccess() {
      return lastSuccess;
    },
    async run(signal) {
      const wakes = wakesOf(feed);
      try {
        const hints = followHints({ client, clock, random, log, hint: wakes.hint });
        await runTasks({ synchronise: (own) => synchronise(wakes, own), hints }, signal);
      } finally {
        wakes.stop();
      }
    },
  };
}
