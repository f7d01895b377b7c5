import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecordSlabs } from './record-slabs.ts';

/** Slabs, and places by owner. */
function slabsWithOwners() {
  const places = new Map<number, number>();
  const slabs = new RecordSlabs((owner, from, to) => {
    if (places.get(owner) !== from) return false;
    places.set(owner, to);
    return true;
  });
  return {
    slabs,
    places,
    put(owner: number, record: Buffer) {
      this.remove(owner);
      places.set(owner, slabs.put(owner, record));
    },
    remove(owner: number) {
      const place = places.get(owner);
      places.delete(owner);
      if (place !== undefined) slabs.remove(place);
    },
    read: (owner: number) => slabs.read(places.get(owner) ?? -1),
  };
}

describe('record slabs', () => {
  it('agree with a map, whatever is put and removed', () => {
    const operation = fc.record({ owner: fc.nat(40), size: fc.option(fc.nat(300_000)), fill: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
        const held = slabsWithOwners();
        const model = new Map<number, Buffer>();
        for (const { owner, size, fill } of operations) {
          if (size === null) {
            held.remove(owner);
            model.delete(owner);
          } else {
            const record = Buffer.alloc(size, fill);
            held.put(owner, record);
            model.set(owner, record);
          }
        }
        expect(new Set(held.places.keys())).toEqual(new Set(model.keys()));
        for (const [owner, record] of model) expect(held.read(owner).equals(record)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('hold a record of any size', () => {
    const held = slabsWithOwners();
    const large = Buffer.alloc(5_000_000, 7);
    held.put(1, Buffer.from('before'));
    held.put(2, large);
    held.put(3, Buffer.from('after'));
    expect(held.read(2).equals(large)).toBe(true);
    expect([held.read(1), held.read(3)].map(String)).toEqual(['before', 'after']);
  });

  it('take no more memory however often records change', () => {
    const held = slabsWithOwners();
    const record = (n: number): Buffer => Buffer.alloc(900 + (n % 200), n);
    for (let owner = 0; owner < 5000; owner += 1) held.put(owner, record(owner));
    const before = held.slabs.bytes;
    for (let n = 0; n < 50_000; n += 1) held.put((n * 7919) % 5000, record(n));
    // Half of each slab may be dead.
    expect(held.slabs.bytes).toBeLessThan(before * 2.5);
    for (let owner = 0; owner < 5000; owner += 1) held.remove(owner);
    expect(held.slabs.bytes).toBeLessThanOrEqual(2 ** 20);
  });

  it('refuse a place where nothing is', () => {
    expect(() => slabsWithOwners().slabs.read(5)).toThrow(RangeError);
  });
});
