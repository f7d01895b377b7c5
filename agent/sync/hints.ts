import { backoffDelay, exponential } from '../../common/backoff.ts';
import type { Clock } from '../../common/clock.ts';
import { hasCode } from '../../common/errors.ts';
import type { Task } from '../../common/lifecycle.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { ServerClient } from '../server-client/contract.ts';

/** What following the server's hints takes. */
export interface HintsDependencies {
  readonly client: Pick<ServerClient, 'hints'>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Told of each hint. */
  readonly hint: () => void;
}

/** A stream that ended well, as it does every few minutes, is opened again at once, but not by all agents at once. */
const REOPEN_MS = 1000;
/** After failures. Meanwhile the agent asks for changes as often as it does without hints. */
const REOPENING = exponential(1000, 60_000);
/** A server without hints may be replaced by one that has them. */
const UNKNOWN_MS = 10 * 60_000;

/**
 * Keeps a stream of hints open. Everything works without it, only later: failures are therefore no more than debug lines.
 * What happened between two streams is covered by the hint with which each begins.
 */
export function followHints({ client, clock, hint, log, random }: HintsDependencies): Task {
  const pause = (error: unknown, failures: number): number => {
    if (error === undefined) return REOPEN_MS * random();
    if (hasCode(error, 'unimplemented')) return UNKNOWN_MS * (0.9 + 0.2 * random());
    return backoffDelay(REOPENING, failures, random);
  };
  return async (signal) => {
    let failures = 0;
    while (!signal.aborted) {
      let failure: unknown;
      try {
        for await (const _ of client.hints(signal)) {
          failures = 0;
          hint();
        }
      } catch (error) {
        if (signal.aborted) return;
        failure = error;
        log.debug('No hints from the server', { error });
      }
      try {
        await clock.sleep(pause(failure, failures), signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      if (failure !== undefined) failures += 1;
    }
  };
}
