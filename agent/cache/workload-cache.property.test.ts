import { generateKeyPairSync } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../common/log/logger.ts';
import { emptyBundle } from '../../spiffe/bundle/bundle.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import { formatSelector, parseSelector } from '../../spiffe/selector.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import type { AgentEntry } from '../server-client/contract.ts';
import type { HeldX509Svid, Identity, WorkloadUpdate } from './contract.ts';
import { createWorkloadCache } from './workload-cache.ts';

const bundle = emptyBundle(parseTrustDomain('example.org'));
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const SELECTORS = ['u:1', 'u:2', 'g:1'];

const entry: fc.Arbitrary<AgentEntry> = fc
  .record({
    id: fc.constantFrom('a', 'b', 'c', 'd'),
    texts: fc.subarray(SELECTORS),
    name: fc.nat(1),
    revisionNumber: fc.nat(1),
    storeSvid: fc.boolean(),
  })
  .map(({ id, texts, name, revisionNumber, storeSvid }) => ({
    id,
    spiffeId: parseSpiffeId(`spiffe://example.org/${id}/${name}`),
    selectors: texts.map(parseSelector),
    federatesWith: [],
    admin: false,
    downstream: false,
    revisionNumber,
    storeSvid,
    hint: '',
    createdAt: 1,
  }));

type Step =
  | { readonly kind: 'entries'; readonly entries: readonly AgentEntry[] }
  | { readonly kind: 'sign'; readonly ids: readonly string[] };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('entries' as const),
    entries: fc.uniqueArray(entry, { selector: ({ id }) => id, maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant('sign' as const), ids: fc.subarray(['a', 'b', 'c', 'd']) }),
);

/** The rules in the plainest words, without an index, groups or sharing. */
class Model {
  entries: readonly AgentEntry[] = [];
  held = new Map<string, Identity>();

  matching(shown: readonly string[]): readonly AgentEntry[] {
    return this.entries
      .filter(({ selectors, storeSvid }) => !storeSvid && selectors.length > 0 && isSubset(selectors, shown))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  identities(shown: readonly string[]): readonly Identity[] {
    return this.matching(shown).flatMap(({ id }) => this.held.get(id) ?? []);
  }
}

function isSubset(selectors: AgentEntry['selectors'], shown: readonly string[]): boolean {
  return selectors.every((one) => shown.includes(formatSelector(one)));
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the cache', () => {
  it('gives every workload what a plain reading of the rules gives it, and each state once', async () => {
    const shows = fc.array(fc.subarray(SELECTORS, { minLength: 1 }), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(shows, fc.array(step, { maxLength: 12 }), async (shown, steps) => {
        const cache = createWorkloadCache({ bundle, log: silentLogger });
        const model = new Model();
        const stop = new AbortController();
        const watchers = shown.map((texts) => {
          const taken: WorkloadUpdate[] = [];
          const ended = (async () => {
            for await (const one of cache.subscribe(texts.map(parseSelector), stop.signal)) taken.push(one);
          })();
          return { texts, taken, ended };
        });
        await settle();
        for (const one of steps) {
          take(one, cache, model);
          await settle();
          for (const { texts, taken } of watchers) {
            const wanted = model.identities(texts);
            expect(cache.matchingEntries(texts.map(parseSelector))).toEqual(model.matching(texts));
            expect(cache.snapshot(texts.map(parseSelector)).identities).toEqual(wanted);
            expect(taken.at(-1)?.identities).toEqual(wanted);
          }
        }
        stop.abort();
        for (const { taken, ended } of watchers) {
          await ended;
          for (const [index, one] of taken.entries()) {
            if (index > 0) expect(isSame(one.identities, taken[index - 1]?.identities ?? [])).toBe(false);
          }
        }
      }),
    );
  });
});

function take(one: Step, cache: ReturnType<typeof createWorkloadCache>, model: Model): void {
  if (one.kind === 'entries') {
    cache.setEntries(new Map(one.entries.map((each) => [each.id, each])), bundle, new Map());
    model.entries = one.entries;
    const served = new Set(one.entries.filter(({ storeSvid }) => !storeSvid).map(({ id }) => id));
    for (const id of model.held.keys()) if (!served.has(id)) model.held.delete(id);
    return;
  }
  const signed = new Map<string, HeldX509Svid>();
  for (const each of model.entries.filter(({ id }) => one.ids.includes(id))) {
    const { id, revisionNumber } = each;
    const svid: HeldX509Svid = { chain: [], privateKey, notBefore: 0, notAfter: 1, receivedAt: 0, revisionNumber };
    signed.set(id, svid);
    if (!each.storeSvid) model.held.set(id, { entry: each, svid });
  }
  cache.setSvids(signed);
}

function isSame(a: readonly Identity[], b: readonly Identity[]): boolean {
  return a.length === b.length && a.every((one, i) => one.entry === b[i]?.entry && one.svid === b[i]?.svid);
}
