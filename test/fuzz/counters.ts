/**
 * How often each place of the counted sources was passed in one execution. The places register themselves as their
 * modules load, in the order of the imports; without counted sources there are none, and nothing is learnt.
 */
const MAX_PLACES = 1 << 16;

const counts = new Uint8Array(MAX_PLACES);
const words = new BigUint64Array(counts.buffer);
let places = 0;

/** What the counted sources call, by this name; see instrument.ts. */
export const REGISTER = '__finialFuzzCounters';

/** Must run before the counted sources are loaded. */
export function acceptCounters(): void {
  Object.assign(globalThis, {
    [REGISTER]: (size: number): Uint8Array => {
      const from = places;
      places += size;
      if (places > MAX_PLACES) throw new RangeError('too many counted places');
      return counts.subarray(from, places);
    },
  });
}

export function countedPlaces(): number {
  return places;
}

export function clearCounters(): void {
  counts.fill(0, 0, places);
}

/** Once, twice, three times, then by powers of two: the bit that stands for a count. */
const BIT_OF_COUNT = Uint8Array.from({ length: 256 }, (_, count) => {
  if (count < 4) return count === 0 ? 0 : 1 << (count - 1);
  return 1 << Math.min(7, Math.floor(Math.log2(count)) + 1);
});

/** The places that the last execution passed, each with how often. */
export function lastFeatures(): number[] {
  const features: number[] = [];
  for (let place = 0; place < places; place += 1) {
    const count = counts[place] ?? 0;
    if (count > 0) features.push(place * 256 + (BIT_OF_COUNT[count] ?? 0));
  }
  return features;
}

/** Everything that was ever seen of one target. */
export class Coverage {
  readonly #seen = new Uint8Array(MAX_PLACES);
  #places = 0;

  /** How many places were passed at all. */
  get places(): number {
    return this.#places;
  }

  /** Adds the counts of the last execution. @returns whether they show something new */
  learn(): boolean {
    let isNew = false;
    const end = Math.ceil(places / 8);
    for (let word = 0; word < end; word += 1) {
      if (words[word] === 0n) continue;
      for (let place = word * 8; place < word * 8 + 8; place += 1) {
        const bit = BIT_OF_COUNT[counts[place] ?? 0] ?? 0;
        const seen = this.#seen[place] ?? 0;
        if ((bit & ~seen) === 0) continue;
        if (seen === 0) this.#places += 1;
        this.#seen[place] = seen | bit;
        isNew = true;
      }
    }
    return isNew;
  }
}
