/** Repeatable choices: the same seed makes the same ones on every machine. */
export interface Random {
  /** A whole number from 0 to `below` - 1; 0 when there is none. */
  int(below: number): number;
  /** True once in so many times. */
  oneIn(times: number): boolean;
  /** One of the items. @throws RangeError when there are none */
  pick<T>(items: readonly T[]): T;
  bytes(length: number): Buffer;
}

/**
 * The generator sfc32 (C. Doty-Humphrey, PractRand), seeded by any 32-bit number and a text that sets streams of one seed
 * apart.
 */
export function newRandom(seed: number, stream = ''): Random {
  let [a, b, c, count] = [seed | 0, hash(stream), 0x9e3779b9 | 0, 1];
  const next = (): number => {
    const sum = (((a + b) | 0) + count) | 0;
    count = (count + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let warmUp = 0; warmUp < 12; warmUp += 1) next();
  const int = (below: number): number => (below > 1 ? Math.floor((next() / 2 ** 32) * below) : 0);
  return {
    int,
    oneIn: (times) => int(times) === 0,
    pick: (items) => {
      if (items.length === 0) throw new RangeError('nothing to pick from');
      return items[int(items.length)] as (typeof items)[number];
    },
    bytes: (length) => Buffer.from(Array.from({ length }, () => int(256))),
  };
}

/** FNV-1a. */
export function hash(text: string): number {
  let value = 0x811c9dc5 | 0;
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  return value;
}
