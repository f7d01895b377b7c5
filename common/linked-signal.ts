/** A signal that aborts with the first of several. */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Aborts this one alone, which lets go of the others too. */
  abort(): void;
  /** Lets go of the others; to be called once nobody waits for the signal any more. */
  unlink(): void;
}

/**
 * `AbortSignal.any` with an end: on Node 20, signals made by that stay attached to a long-lived one for good (measured:
 * 77 MB after a million calls).
 */
export function linkSignals(...signals: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const own = new AbortController();
  const sources = signals.filter((signal) => signal !== undefined);
  const unlink = (): void => {
    for (const source of sources) source.removeEventListener('abort', abort);
  };
  const abort = (event: Event): void => {
    unlink();
    own.abort((event.target as AbortSignal).reason);
  };
  for (const source of sources) source.addEventListener('abort', abort, { once: true });
  const aborted = sources.find((source) => source.aborted);
  if (aborted !== undefined) {
    unlink();
    own.abort(aborted.reason);
  }
  return {
    signal: own.signal,
    abort() {
      unlink();
      own.abort();
    },
    unlink,
  };
}

/** Runs `act` under a signal that aborts with the first of several. */
export async function withSignals<T>(
  signals: readonly (AbortSignal | undefined)[],
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const linked = linkSignals(...signals);
  try {
    return await act(linked.signal);
  } finally {
    linked.unlink();
  }
}
