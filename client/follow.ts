import { backoffDelay, type BackoffPolicy } from '../common/backoff.ts';
import type { Clock } from '../common/clock.ts';
import { FinialError, hasCode, toFinialError } from '../common/errors.ts';
import { linkSignals } from '../common/linked-signal.ts';

/** How streams of the agent are opened again, and what drives their waits. */
export interface FollowOptions {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly backoff: BackoffPolicy;
}

/** conformance.md 3.3: a first attempt at once, later ones back off to half a minute. */
export const DEFAULT_BACKOFF: BackoffPolicy = { initial: 200, factor: 1.7, max: 30_000, jitter: 0.2 };

/** A stream that lived this long, and said something, was healthy: waits start small again after it. */
const HEALTHY_MS = 5000;

/** SPIFFE Workload API 4.3: the first message comes without delay. An agent that keeps silent this long is stuck. */
const FIRST_MESSAGE_MS = 30_000;

/** One stream of the agent, followed across interruptions. */
export interface Followed<Message, Update> {
  /** Opens the stream; cancelled by the signal. */
  open(signal: AbortSignal): AsyncIterable<Message>;
  /** What a message means. @throws for one that breaks the standard: it is reported, the stream goes on */
  read(message: Message): Update;
  onUpdate(update: Update): void;
  /** Hears of every refused message and of every interruption, before the stream is opened again. Must not throw. */
  onError(error: FinialError): void;
}

/**
 * Follows a stream until `signal` aborts. Whatever ends it, an OK included, it is opened again (SPIFFE Workload API
 * 4.2): at once when it had given something, then ever more slowly. Between two streams nothing is forgotten; what a new
 * stream says replaces what the last one said.
 *
 * @returns when `signal` aborts
 * @throws FinialError `invalid-argument` or `unimplemented`, as trying again cannot help (SPIFFE Workload Endpoint 6);
 * whatever `onUpdate` throws
 */
export async function follow<Message, Update>(
  followed: Followed<Message, Update>,
  options: FollowOptions,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, backoff } = options;
  let fresh = true;
  let waits = 0;
  while (!signal.aborted) {
    const opened = clock.steady();
    const { error: thrown, said, mine } = await streamEnd(followed, clock, signal);
    if (signal.aborted) return;
    if (mine) throw thrown;
    const error = toFinialError(thrown);
    followed.onError(error);
    if (isFinal(error)) throw error;
    if (said && clock.steady() - opened >= HEALTHY_MS) [fresh, waits] = [true, 0];
    // Whoever was refused has no stream to miss, and waits (Workload API 5.2.1).
    const atOnce = fresh && said && !hasCode(error, 'permission-denied');
    fresh = false;
    if (atOnce) continue;
    if (!(await slept(clock, backoffDelay(backoff, waits, random), signal))) return;
    waits += 1;
  }
}

/** Trying again cannot help: the agent will not understand us any better, or does not serve this at all. */
export function isFinal(error: FinialError): boolean {
  return hasCode(error, 'invalid-argument') || hasCode(error, 'unimplemented');
}

/** How one stream ended. */
interface StreamEnd {
  readonly error: unknown;
  /** Whether it said anything that was understood. */
  readonly said: boolean;
  /** The listener's own error, which no other stream can cure. */
  readonly mine: boolean;
}

async function streamEnd<Message, Update>(
  followed: Followed<Message, Update>,
  clock: Clock,
  signal: AbortSignal,
): Promise<StreamEnd> {
  const stream = linkSignals(signal);
  const silence = new AbortController();
  let silent = false;
  let said = false;
  const watchSilence = async (): Promise<void> => {
    silent = await slept(clock, FIRST_MESSAGE_MS, silence.signal);
    if (silent) stream.abort();
  };
  void watchSilence();
  const end = (error: unknown, mine = false): StreamEnd => ({ error, said, mine });
  try {
    for await (const message of followed.open(stream.signal)) {
      silence.abort();
      const update = understood(followed, message);
      if (update === undefined) continue;
      said = true;
      try {
        followed.onUpdate(update.value);
      } catch (error) {
        return end(error, true);
      }
    }
    return end(new FinialError('unavailable', 'the Workload API ended the stream'));
  } catch (error) {
    if (!silent) return end(error);
    return end(new FinialError('unavailable', `the Workload API sent nothing for ${FIRST_MESSAGE_MS / 1000} s`));
  } finally {
    silence.abort();
    stream.unlink();
  }
}

/** @returns undefined for a message that breaks the standard, once that is reported */
function understood<Message, Update>(
  followed: Followed<Message, Update>,
  message: Message,
): { readonly value: Update } | undefined {
  try {
    return { value: followed.read(message) };
  } catch (error) {
    followed.onError(toFinialError(error));
    return undefined;
  }
}

/** @returns false when `signal` aborted the wait */
async function slept(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(ms, signal);
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}
