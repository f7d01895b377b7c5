import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { spiffeId } from '../../spiffe/id.ts';
import type { Entry } from '../../spiffe/registration/entry.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { CompactEntries } from './compact-entries.ts';

const td = parseTrustDomain('td.example');
const other = parseTrustDomain('other.example');

const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const attributes = fc.record({ disableX509SvidPrefetch: fc.boolean(), jwtSvidIncludeJti: fc.boolean() });
const anyEntry: fc.Arbitrary<Entry> = fc
  .record({
    id: fc.integer({ min: 0, max: 20 }).map(String),
    spiffeId: fc.nat(9).map((n) => spiffeId(td, `/w${n}`)),
    parentId: fc.nat(3).map((n) => spiffeId(td, `/spire/agent/${n}`)),
    selectors: fc.array(fc.record({ type: text, value: text }), { minLength: 1, maxLength: 3 }),
    x509SvidTtl: fc.nat(),
    jwtSvidTtl: fc.nat(),
    federatesWith: fc.subarray([other]),
    admin: fc.boolean(),
    downstream: fc.boolean(),
    expiresAt: fc.maxSafeNat(),
    dnsNames: fc.array(text, { maxLength: 2 }),
    revisionNumber: fc.maxSafeNat(),
    storeSvid: fc.boolean(),
    hint: text,
    createdAt: fc.maxSafeNat(),
  })
  .chain((entry) =>
    fc.option(attributes).map((some) => (some === null ? entry : { ...entry, additionalAttributes: some })),
  );

describe('compact entries', () => {
  it('give back every field of what was put last, whatever is put and removed', () => {
    const operation = fc.oneof(anyEntry, fc.integer({ min: 0, max: 20 }).map(String));
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const held = new CompactEntries(td);
        const model = new Map<string, Entry>();
        for (const one of operations) {
          if (typeof one === 'string') {
            held.remove(one);
            model.delete(one);
          } else {
            held.put(one);
            model.set(one.id, one);
          }
        }
        expect([...held.graph.entryIds()].toSorted()).toEqual([...model.keys()].toSorted());
        for (const [id, entry] of model) {
          const handle = held.graph.handleOf(id) ?? -1;
          expect(held.entryOf(handle)).toEqual(entry);
          expect(held.entryOf(handle)).toBe(held.entryOf(handle));
        }
      }),
    );
  });
});
