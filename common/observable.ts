/** A value that changes. Snapshots are frozen by their owner; a consumer sees the current one and every later newest. */
export interface Observable<T> {
  readonly current: T;
  /** Calls `listener` on each later change, in order, until the returned function is called. */
  subscribe(listener: (value: T) => void): () => void;
  /**
   * The current value at once, then the newest value after each change. A slow reader skips values that were replaced
   * before it came back. Ends without error when `signal` aborts.
   */
  values(signal: AbortSignal): AsyncIterable<T>;
}

/** An observable with its handle; only the owner holds it. */
export interface Subject<T> extends Observable<T> {
  publish(value: T): void;
}

/** Makes a value that can be watched. */
export function subject<T>(initial: T): Subject<T> {
  let current = initial;
  const listeners = new Set<(value: T) => void>();
  const subscribe = (listener: (value: T) => void): (() => void) => {
    const own = (value: T): void => listener(value);
    listeners.add(own);
    return () => void listeners.delete(own);
  };
  return {
    get current() {
      return current;
    },
    subscribe,
    publish(value) {
      current = value;
      for (const listener of [...listeners]) listener(value);
    },
    async *values(signal) {
      let wake: (() => void) | undefined;
      let pending = true;
      const ring = (): void => {
        wake?.();
        wake = undefined;
      };
      const unsubscribe = subscribe(() => {
        pending = true;
        ring();
      });
      signal.addEventListener('abort', ring, { once: true });
      try {
        while (!signal.aborted) {
          if (pending) {
            pending = false;
            yield current;
          } else {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
        }
      } finally {
        unsubscribe();
        signal.removeEventListener('abort', ring);
      }
    },
  };
}
