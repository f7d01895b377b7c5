import type { BackoffPolicy } from '../common/backoff.ts';
import type { Clock } from '../common/clock.ts';
import { FinialError, toFinialError } from '../common/errors.ts';
import { linkSignals, withSignals } from '../common/linked-signal.ts';
import type { CallOptions } from '../common/rpc/client.ts';
import { follow } from './follow.ts';

/** Who hears what a followed stream says. */
export interface StreamListener<T> {
  onUpdate(update: T): void;
  /** Refused messages and interruptions; the stream is opened again, unless following it fails with this very error. */
  onError?(error: FinialError): void;
}

/** How long updates are awaited, and who hears of trouble. */
export interface WatchOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onError?: ((error: FinialError) => void) | undefined;
}

/** One stream of the Workload API. `Request` says what may be asked of it. */
export interface WorkloadStream<T, Request = object> {
  /**
   * What it says now, once. Nothing is repeated; 5 s unless `timeoutMs` says otherwise.
   *
   * @throws FinialError, `permission-denied` when this process has nothing to get
   */
  fetch(options?: { readonly signal?: AbortSignal; readonly timeoutMs?: number } & Request): Promise<T>;
  /**
   * Tells the listener of every update, in order and at once, across interruptions.
   *
   * @returns when `signal` aborts or the client is closed
   * @throws FinialError `invalid-argument` or `unimplemented`, which no repetition can cure
   */
  follow(listener: StreamListener<T>, options: { readonly signal: AbortSignal } & Request): Promise<void>;
  /**
   * `follow` as a loop: the current state first, then the newest one after each change. A slow reader misses what was
   * replaced in between. Ends without error when `signal` aborts or the client is closed; throws as `follow`.
   */
  watch(options?: WatchOptions & Request): AsyncIterable<T>;
}

/** Opens a stream; the call options hold what bounds it. */
export type Opened<Message, Request> = (request: Request, call: CallOptions) => AsyncIterable<Message>;

interface StreamParts<Message, T, Request> {
  readonly open: Opened<Message, Request>;
  readonly read: (message: Message) => T;
  readonly clock: Clock;
  readonly random: () => number;
  readonly backoff: BackoffPolicy;
  /** Aborts when the client is closed. */
  readonly closed: AbortSignal;
  /** Of a fetch that sets none. */
  readonly timeoutMs: number;
}

/** Makes the three ways of reading a stream out of how it is opened and what its messages mean. */
export function workloadStream<Message, T, Request>(
  parts: StreamParts<Message, T, Request>,
): WorkloadStream<T, Request> {
  const { open, read, closed } = parts;
  const followStream: WorkloadStream<T, Request>['follow'] = (listener, options) => {
    const followed = {
      open: (signal: AbortSignal) => open(options, { signal }),
      read,
      onUpdate: (update: T) => listener.onUpdate(update),
      onError: (error: FinialError) => listener.onError?.(error),
    };
    return withSignals([options.signal, closed], (signal) => follow(followed, parts, signal));
  };
  return {
    fetch(options) {
      const { timeoutMs = parts.timeoutMs, signal: given } = options ?? {};
      return withSignals([given, closed], async (signal) => {
        for await (const message of open((options ?? {}) as Request, { timeoutMs, signal })) return read(message);
        throw new FinialError('unavailable', 'the Workload API ended the stream without an answer');
      });
    },
    follow: followStream,
    watch: (options) => watch(followStream, (options ?? {}) as WatchOptions & Request),
  };
}

async function* watch<T, Request>(
  followStream: WorkloadStream<T, Request>['follow'],
  options: WatchOptions & Request,
): AsyncGenerator<T, void, undefined> {
  const state: { latest?: { readonly value: T }; over?: { readonly error?: FinialError } } = {};
  let wake = (): void => undefined;
  const listener: StreamListener<T> = {
    onUpdate(value) {
      state.latest = { value };
      wake();
    },
    onError: (error) => options.onError?.(error),
  };
  const end = (over: { readonly error?: FinialError }): void => {
    state.over = over;
    wake();
  };
  const stop = linkSignals(options.signal);
  followStream(listener, { ...options, signal: stop.signal }).then(
    () => end({}),
    (error: unknown) => end({ error: toFinialError(error) }),
  );
  try {
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const { latest, over } = state;
      delete state.latest;
      if (options.signal?.aborted) return;
      if (latest !== undefined) yield latest.value;
      else if (over?.error !== undefined) throw over.error;
      else if (over !== undefined) return;
      else await woken;
    }
  } finally {
    stop.abort();
    stop.unlink();
  }
}
