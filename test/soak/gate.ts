/** Lets the load be held for a moment: nobody is in the middle of anything then. */
export interface Gate {
  /** Resolves when the gate is open; whoever went through says when it is done. */
  readonly turn: () => Promise<() => void>;
  /** Waits until nobody is through, keeps everybody out while `work` runs. */
  closedFor<T>(work: () => Promise<T>): Promise<T>;
  /** Lets everybody through for good. */
  release(): void;
}

export function newGate(): Gate {
  const state = { through: 0, closed: false, released: false };
  let waiting: (() => void)[] = [];
  let whenEmpty: (() => void) | undefined;
  const wakeAll = (): void => {
    const [all] = [waiting, (waiting = [])];
    for (const wake of all) wake();
  };
  return {
    async turn() {
      while (state.closed && !state.released) await new Promise<void>((resolve) => waiting.push(resolve));
      state.through += 1;
      return () => {
        state.through -= 1;
        if (state.through === 0) whenEmpty?.();
      };
    },
    async closedFor(work) {
      state.closed = true;
      try {
        while (state.through > 0 && !state.released) await new Promise<void>((resolve) => (whenEmpty = resolve));
        return await work();
      } finally {
        state.closed = false;
        wakeAll();
      }
    },
    release() {
      state.released = true;
      wakeAll();
      whenEmpty?.();
    },
  };
}
