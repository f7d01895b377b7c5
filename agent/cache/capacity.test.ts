import { generateKeyPairSync } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSpiffeId } from '../../spiffe/id.ts';
import type { AgentEntry } from '../server-client/contract.ts';
import { evictions, type Held, type Holdings, signingOrder } from './capacity.ts';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** One entry of an arbitrary agent. */
interface Given {
  readonly subscribed: boolean;
  /** The revision that an SVID is held for. */
  readonly held: number | undefined;
  readonly revision: number;
  readonly lastAccess: number;
  readonly noPrefetch: boolean;
}

const given: fc.Arbitrary<Given> = fc.record({
  subscribed: fc.boolean(),
  held: fc.option(fc.integer({ min: 0, max: 1 }), { nil: undefined }),
  revision: fc.integer({ min: 0, max: 1 }),
  lastAccess: fc.nat(5),
  noPrefetch: fc.boolean(),
});

const idOf = (at: number): string => `e${String(at).padStart(3, '0')}`;

function entryOf({ revision, noPrefetch }: Given, at: number): AgentEntry {
  return {
    id: idOf(at),
    spiffeId: parseSpiffeId(`spiffe://example.org/${at}`),
    selectors: [{ type: 'u', value: '1' }],
    federatesWith: [],
    admin: false,
    downstream: false,
    revisionNumber: revision,
    storeSvid: false,
    hint: '',
    createdAt: 1,
    additionalAttributes: { disableX509SvidPrefetch: noPrefetch, jwtSvidIncludeJti: false },
  };
}

function worldOf(all: readonly Given[], maxSvids: number): { entries: AgentEntry[]; holdings: Holdings } {
  const entries = all.map(entryOf);
  const byId = new Map(all.map((one, at) => [idOf(at), one]));
  const held = new Map<string, Held>();
  for (const [at, one] of all.entries()) {
    const entry = entries[at];
    if (one.held === undefined || entry === undefined) continue;
    const svid = { chain: [], privateKey, notBefore: 0, notAfter: 1000 + at, receivedAt: 0, revisionNumber: one.held };
    held.set(entry.id, { entry: { ...entry, revisionNumber: one.held }, svid });
  }
  const holdings: Holdings = {
    held,
    maxSvids,
    isSubscribed: (id) => byId.get(id)?.subscribed === true,
    lastAccess: (id) => byId.get(id)?.lastAccess ?? 0,
  };
  return { entries, holdings };
}

const world = fc.tuple(fc.array(given, { maxLength: 12 }), fc.nat(8));

describe('what is dropped to make room', () => {
  it('is never in use, was used before whatever stays unused, and is no more than has to go', () => {
    fc.assert(
      fc.property(world, ([all, max]) => {
        const { holdings } = worldOf(all, max);
        const dropped = evictions(holdings);
        const idle = [...holdings.held.keys()].filter((id) => !holdings.isSubscribed(id));
        expect(dropped.every((id) => idle.includes(id))).toBe(true);
        expect(dropped).toHaveLength(Math.min(idle.length, Math.max(0, holdings.held.size - max)));
        const newest = Math.max(-1, ...dropped.map((id) => holdings.lastAccess(id)));
        for (const id of idle)
          if (!dropped.includes(id)) expect(holdings.lastAccess(id)).toBeGreaterThanOrEqual(newest);
      }),
    );
  });
});

describe('what is signed', () => {
  it('is exactly what is missing and wanted, changed, due, or fits in advance', () => {
    fc.assert(
      fc.property(world, fc.func(fc.boolean()), ([all, max], isDue) => {
        const { entries, holdings } = worldOf(all, max);
        const due = (_svid: unknown, entry: AgentEntry): boolean => isDue(entry.id);
        const order = signingOrder(entries, holdings, due).map(({ id }) => id);
        expect(new Set(order).size).toBe(order.length);
        const isAwaited = (one: Given): boolean => one.subscribed && one.held === undefined;
        const awaited = all.filter(isAwaited).length;
        let prefetched = 0;
        for (const [at, one] of all.entries()) {
          const id = idOf(at);
          if (one.held !== undefined) expect(order.includes(id)).toBe(one.held !== one.revision || isDue(id));
          else if (one.subscribed) expect(order.indexOf(id)).toBeLessThan(awaited);
          else if (order.includes(id)) {
            expect(one.noPrefetch).toBe(false);
            prefetched += 1;
          }
        }
        expect(order.filter((id) => isAwaited(all[Number(id.slice(1))] as Given))).toHaveLength(awaited);
        expect(prefetched).toBeLessThanOrEqual(Math.max(0, max - holdings.held.size - awaited));
      }),
    );
  });

  it('serves those who wait before those who renew, and the soonest to expire first', () => {
    const row = { revision: 1, lastAccess: 0, noPrefetch: false };
    const all: Given[] = [
      { ...row, subscribed: false, held: undefined },
      { ...row, subscribed: false, held: 0 },
      { ...row, subscribed: true, held: 0 },
      { ...row, subscribed: true, held: 0 },
      { ...row, subscribed: true, held: undefined },
    ];
    const { entries, holdings } = worldOf(all, 10);
    expect(signingOrder(entries, holdings, () => false).map(({ id }) => id)).toEqual([4, 2, 3, 1, 0].map(idOf));
  });
});
