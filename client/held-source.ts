import { type Clock, systemClock } from '../common/clock.ts';
import { FinialError, hasCode, toFinialError } from '../common/errors.ts';
import type { Source } from './source.ts';
import type { WorkloadStream } from './stream.ts';
import { type WorkloadApi, type WorkloadApiOptions, workloadApi } from './workload-api.ts';

/** What all sources can be told. */
export interface SourceOptions extends WorkloadApiOptions {
  /** A client to share; it stays open when the source is closed. Without one the source makes its own. */
  readonly api?: WorkloadApi;
  /** Gives up waiting for the first update. */
  readonly signal?: AbortSignal;
  /** How long the first update is awaited; 30 seconds unless said otherwise, `Infinity` for ever. */
  readonly timeoutMs?: number;
  /**
   * What it means that the agent says `permission-denied` to a process that had an identity. `revoke`, as the standard
   * wants (Workload API 5.2.1) and when absent: the source has nothing any more until the agent gives it something
   * again. `keep`: what was received stays in use until it expires.
   */
  readonly onPermissionDenied?: 'revoke' | 'keep';
  /** Hears, from the first moment on, what `onError` listeners hear. */
  readonly onError?: (error: FinialError) => void;
  readonly clock?: Clock;
}

/** A source with one value, which some public source shows in its own words. */
export interface HeldSource<T> extends Source {
  /** @throws FinialError when it was revoked, following it failed for good, or the source is closed */
  readonly current: T;
}

const DEFAULT_TIMEOUT_MS = 30_000;

type State<T> = { readonly value: T } | { readonly error: FinialError } | undefined;

/**
 * Follows one stream of the agent and holds what it said last.
 *
 * @param what names it in errors, such as `X509-SVID`
 * @returns once the first update has come
 * @throws FinialError `deadline-exceeded` when none comes in time, `cancelled` when the signal aborts first, and the
 * agent's refusal when trying again is useless
 */
export async function holdSource<T>(
  what: string,
  streamOf: (api: WorkloadApi) => WorkloadStream<T>,
  options: SourceOptions,
): Promise<HeldSource<T>> {
  const { clock = systemClock, onPermissionDenied = 'revoke' } = options;
  const api = options.api ?? workloadApi(options);
  const stop = new AbortController();
  const updated = listeners<void>();
  const failed = listeners<FinialError>();
  if (options.onError !== undefined) failed.add(options.onError);
  let state: State<T>;
  let lastError: FinialError | undefined;
  const become = (next: State<T>): void => {
    state = next;
    updated.tell();
  };
  const close = (): void => {
    if (stop.signal.aborted) return;
    state = { error: new FinialError('unavailable', 'the source is closed') };
    stop.abort();
    if (options.api === undefined) api.close();
  };
  const ready = withResolvers<void>();
  const following = streamOf(api).follow(
    {
      onUpdate(value) {
        become({ value });
        ready.resolve();
      },
      onError(error) {
        lastError = error;
        failed.tell(error);
        if (hasCode(error, 'permission-denied') && onPermissionDenied === 'revoke' && state !== undefined) {
          become({ error });
        }
      },
    },
    { signal: stop.signal },
  );
  following.then(
    () => close(),
    (error: unknown) => {
      become({ error: toFinialError(error) });
      ready.reject(error);
    },
  );
  try {
    await firstUpdate(ready.promise, () => tooLate(what, options, lastError), options, clock);
  } catch (error) {
    close();
    throw error;
  }
  return {
    get current() {
      if (state !== undefined && 'value' in state) return state.value;
      throw state?.error ?? new FinialError('unavailable', `no ${what} yet`);
    },
    onUpdate: (listener) => updated.add(listener),
    onError: (listener) => failed.add(listener),
    close,
    [Symbol.dispose]: close,
  };
}

function tooLate(what: string, { timeoutMs }: SourceOptions, lastError: FinialError | undefined): FinialError {
  const why = lastError === undefined ? 'the agent sent nothing' : `${lastError.code}: ${lastError.message}`;
  const seconds = (timeoutMs ?? DEFAULT_TIMEOUT_MS) / 1000;
  return new FinialError('deadline-exceeded', `no ${what} within ${seconds} s: ${why}`, { cause: lastError });
}

/** @throws what `late` gives when the time is over; FinialError `cancelled` when the caller's signal aborts */
async function firstUpdate(
  ready: Promise<void>,
  late: () => FinialError,
  { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: SourceOptions,
  clock: Clock,
): Promise<void> {
  const over = new AbortController();
  const aborted = withResolvers<never>();
  const abort = (): void =>
    aborted.reject(
      new FinialError('cancelled', 'waiting for the first update was given up', { cause: signal?.reason }),
    );
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  const timeout =
    timeoutMs === Infinity ? [] : [clock.sleep(timeoutMs, over.signal).then(() => Promise.reject(late()), ignoreAbort)];
  try {
    await Promise.race([ready, aborted.promise, ...timeout]);
  } finally {
    over.abort();
    signal?.removeEventListener('abort', abort);
  }
}

/** The wait was ended because nobody needs it any more. */
function ignoreAbort(): Promise<void> {
  return new Promise(() => undefined);
}

interface Resolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** `Promise.withResolvers`, which Node 20 lacks. A rejection that nobody waits for any more is not an error. */
function withResolvers<T>(): Resolvers<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

interface Listeners<T> {
  add(listener: (value: T) => void): () => void;
  tell(value: T): void;
}

/** One that throws must not keep the others from hearing; its error surfaces as the uncaught one that it is. */
export function listeners<T>(): Listeners<T> {
  const all = new Set<(value: T) => void>();
  return {
    add(listener) {
      const own = (value: T): void => listener(value);
      all.add(own);
      return () => void all.delete(own);
    },
    tell(value) {
      for (const listener of [...all]) {
        try {
          listener(value);
        } catch (error) {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    },
  };
}
