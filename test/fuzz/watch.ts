/** Inputs are cut to this length where they are only shown. */
const MAX_INPUT = 1 << 17;

/** Shared between the thread that executes inputs and the one that sees whether it still does. */
export function newWatch(): SharedArrayBuffer {
  return new SharedArrayBuffer(8 + MAX_INPUT);
}

/** Both sides of a watch. */
export interface Watch {
  /** Notes the input that is about to be executed. */
  readonly before: (input: Buffer) => void;
  /** Changes with each execution. */
  readonly count: () => number;
  /** The input of the last execution that was begun. */
  readonly input: () => Buffer;
}

export function watched(shared: SharedArrayBuffer): Watch {
  const state = new Int32Array(shared, 0, 2);
  const bytes = new Uint8Array(shared, 8);
  return {
    before(input) {
      const length = Math.min(input.length, MAX_INPUT);
      bytes.set(input.subarray(0, length));
      Atomics.store(state, 1, length);
      Atomics.add(state, 0, 1);
    },
    count: () => Atomics.load(state, 0),
    input: () => Buffer.from(bytes.slice(0, Atomics.load(state, 1))),
  };
}
