import type { Readable } from 'node:stream';

/** The value of `promise`, or the reason of `signal` as soon as that aborts; the late outcome is then dropped. */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(reasonOf(signal));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/**
 * As `orAbort` for one promise after the other: it listens to `signal` once, for as long as that lives, as to begin and to
 * stop listening for each is a good part of what a short stream costs.
 */
export function waiter(signal: AbortSignal): <T>(promise: Promise<T>) => Promise<T> {
  let abort: (() => void) | undefined;
  signal.addEventListener('abort', () => abort?.(), { once: true });
  return (promise) =>
    new Promise((resolve, reject) => {
      abort = () => reject(reasonOf(signal));
      if (signal.aborted) abort();
      promise.then(resolve, reject);
    });
}

/** Throws the reason of an aborted signal. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw reasonOf(signal);
}

function reasonOf(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}

/**
 * The messages of a stream until it ends. One is drawn only when the reader asks, so a slow reader holds the sender back.
 * Leaving the loop leaves the stream as it is: with gRPC its other direction may still be in use.
 *
 * @throws what the stream emits as an error, after the messages before it; the reason of `signal` as soon as it aborts
 */
export async function* readMessages<T>(stream: Readable, signal: AbortSignal): AsyncGenerator<T, void, undefined> {
  let ended = stream.readableEnded;
  let failure: { readonly error: unknown } | undefined;
  let wake: () => void = () => undefined;
  const onReadable = (): void => wake();
  const onEnd = (): void => {
    ended = true;
    wake();
  };
  const onError = (error: unknown): void => {
    failure = { error };
    wake();
  };
  stream.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', onError);
  try {
    for (;;) {
      throwIfAborted(signal);
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const message = stream.read() as T | null;
      if (message !== null) yield message;
      else if (failure !== undefined) throw failure.error;
      else if (ended) return;
      else await orAbort(woken, signal);
    }
  } finally {
    stream.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onError);
  }
}
