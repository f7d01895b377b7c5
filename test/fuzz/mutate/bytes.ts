import type { Random } from '../random.ts';
import type { Mutator } from '../target.ts';

const ODD_BYTES = [0x00, 0x01, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff, 0x0a, 0x0d, 0x20, 0x22, 0x30, 0x2e, 0x5c];

type Step = (input: Buffer, random: Random, other: () => Buffer) => Buffer;

const STEPS: readonly Step[] = [
  (input, random) => withByte(input, random, (byte) => byte ^ (1 << random.int(8))),
  (input, random) => withByte(input, random, () => random.pick(ODD_BYTES)),
  (input, random) => withByte(input, random, () => random.int(256)),
  (input, random) => withByte(input, random, (byte) => byte + (random.oneIn(2) ? 1 : 255)),
  (input, random) => {
    const [from, to] = range(input, random);
    return Buffer.concat([input.subarray(0, from), input.subarray(to)]);
  },
  (input, random) => {
    const [from, to] = range(input, random);
    return Buffer.concat([input.subarray(0, to), input.subarray(from)]);
  },
  (input, random) => insert(input, random, random.bytes(1 + random.int(4))),
  (input, random) => insert(input, random, piece(input, random)),
  (input, random, other) => insert(input, random, piece(other(), random)),
  (input, random, other) => {
    const theirs = other();
    return Buffer.concat([input.subarray(0, random.int(input.length)), theirs.subarray(random.int(theirs.length))]);
  },
  (input, random) => input.subarray(0, random.int(input.length + 1)),
];

/** Changes bytes without knowing what they mean. */
export const mutateBytes: Mutator = (input, random, other) => {
  let changed = input;
  for (let left = 1 << random.int(4); left > 0; left -= 1) changed = random.pick(STEPS)(changed, random, other);
  return changed;
};

/** One mutator or another, each as often as its weight. */
export function mixed(...mutators: readonly (readonly [weight: number, mutator: Mutator])[]): Mutator {
  const wheel = mutators.flatMap(([weight, mutator]) => Array.from({ length: weight }, () => mutator));
  return (input, random, other) => random.pick(wheel)(input, random, other);
}

function withByte(input: Buffer, random: Random, change: (byte: number) => number): Buffer {
  const copy = Buffer.from(input);
  const at = random.int(copy.length);
  if (copy.length > 0) copy[at] = change(copy[at] ?? 0);
  return copy;
}

function range(input: Buffer, random: Random): [from: number, to: number] {
  const from = random.int(input.length);
  return [from, Math.min(input.length, from + 1 + random.int(random.oneIn(4) ? input.length : 8))];
}

function piece(input: Buffer, random: Random): Buffer {
  return input.subarray(...range(input, random));
}

function insert(input: Buffer, random: Random, what: Buffer): Buffer {
  const at = random.int(input.length + 1);
  return Buffer.concat([input.subarray(0, at), what, input.subarray(at)]);
}
