/** Messages that one piece of code puts and another takes, in order. */
export interface Outbox<T> {
  put(message: T): void;
  /** No more messages come. */
  end(): void;
  /** No more messages come, and the taker meets `error` after the ones before. */
  fail(error: unknown): void;
  /** To be called once. */
  take(): AsyncGenerator<T, void, undefined>;
}

/** Makes an empty outbox. */
export function outbox<T>(): Outbox<T> {
  const waiting: T[] = [];
  let over: { readonly error?: unknown } | undefined;
  let wake: () => void = () => undefined;
  const ring = (): void => wake();
  return {
    put(message) {
      waiting.push(message);
      ring();
    },
    end() {
      over ??= {};
      ring();
    },
    fail(error) {
      over ??= { error };
      ring();
    },
    async *take() {
      for (;;) {
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) yield next;
        if (over !== undefined && waiting.length === 0) {
          if ('error' in over) throw over.error;
          return;
        }
        await woken;
      }
    },
  };
}
