import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type Logger, silentLogger } from '../../common/log/logger.ts';
import { type Bundle, emptyBundle } from '../../spiffe/bundle/bundle.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import { parseSelector, type Selector } from '../../spiffe/selector.ts';
import { parseTrustDomain, type TrustDomain } from '../../spiffe/trust-domain.ts';
import type { AgentEntry } from '../server-client/contract.ts';
import type { HeldX509Svid, WorkloadUpdate } from './contract.ts';
import { createWorkloadCache } from './workload-cache.ts';

const trustDomain = parseTrustDomain('example.org');
const other = parseTrustDomain('other.org');
const bundle: Bundle = { ...emptyBundle(trustDomain), sequenceNumber: 1n };
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const never = (): boolean => false;

const selectors = (...texts: string[]): Selector[] => texts.map(parseSelector);

function entry(id: string, of: readonly string[], more: Partial<AgentEntry> = {}): AgentEntry {
  return {
    id,
    spiffeId: parseSpiffeId(`spiffe://example.org/${id}`),
    selectors: selectors(...of),
    federatesWith: [],
    admin: false,
    downstream: false,
    revisionNumber: 0,
    storeSvid: false,
    hint: '',
    createdAt: 1,
    ...more,
  };
}

function svid(revisionNumber = 0, notAfter = 1000): HeldX509Svid {
  return { chain: [Buffer.from('leaf')], privateKey, notBefore: 0, notAfter, receivedAt: 0, revisionNumber };
}

/** A cache with helpers that speak of IDs. */
function cacheOf(options: { maxSvids?: number; log?: Logger } = {}) {
  const cache = createWorkloadCache({ bundle, log: silentLogger, ...options });
  return {
    cache,
    set: (entries: readonly AgentEntry[], own = bundle, federated: ReadonlyMap<TrustDomain, Bundle> = new Map()) => {
      cache.setEntries(new Map(entries.map((one) => [one.id, one])), own, federated);
    },
    sign: (...ids: string[]) => {
      cache.setSvids(new Map(ids.map((id) => [id, svid(cache.entries.get(id)?.revisionNumber)])));
    },
    stale: (due = never) => cache.stale(due).map(({ id }) => id),
  };
}

/** A subscriber; `taken` fills as updates come. */
function watch(cache: ReturnType<typeof createWorkloadCache>, ...of: string[]) {
  const stop = new AbortController();
  const taken: WorkloadUpdate[] = [];
  const ended = (async () => {
    for await (const update of cache.subscribe(selectors(...of), stop.signal)) taken.push(update);
  })();
  const ids = (): string[][] => taken.map(({ identities }) => identities.map(({ entry }) => entry.id));
  return { taken, ids, stop: () => (stop.abort(), ended), ended };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('what nobody is subscribed to', () => {
  const shown = ({ cache }: ReturnType<typeof cacheOf>, ...of: string[]): string[] =>
    cache.snapshot(selectors(...of)).identities.map(({ entry: { id } }) => id);

  it('is the same object when it is asked for again, so that it is encoded once', () => {
    const one = cacheOf();
    one.set([entry('a', ['u:1'])]);
    one.sign('a');
    expect(one.cache.snapshot(selectors('u:1'))).toBe(one.cache.snapshot(selectors('u:1')));
  });

  it('is shown as it is now, whatever was shown before', () => {
    const one = cacheOf();
    one.set([entry('a', ['u:1'])]);
    expect(shown(one, 'u:1')).toEqual([]);
    one.sign('a');
    expect(shown(one, 'u:1')).toEqual(['a']);
    one.set([entry('b', ['u:1'])]);
    expect(shown(one, 'u:1')).toEqual([]);
    expect(one.cache.matchingEntries(selectors('u:1')).map(({ id }) => id)).toEqual(['b']);
  });

  it('is shown without an SVID that had to make room', () => {
    const one = cacheOf({ maxSvids: 1 });
    const entries = [entry('a', ['u:1']), entry('b', ['u:2'])];
    one.set(entries);
    one.sign('a', 'b');
    expect([...shown(one, 'u:1'), ...shown(one, 'u:2')]).toEqual(['a', 'b']);
    one.set(entries);
    expect([...shown(one, 'u:1'), ...shown(one, 'u:2')]).toHaveLength(1);
  });

  it('is kept for the most recent sets only', () => {
    const one = cacheOf();
    one.set([entry('a', ['u:1'])]);
    one.sign('a');
    const first = one.cache.snapshot(selectors('u:1'));
    for (let n = 0; n < 300; n += 1) one.cache.snapshot(selectors(`x:${n}`));
    expect(one.cache.snapshot(selectors('u:1'))).not.toBe(first);
  });
});

describe('a subscriber', () => {
  it('gets all of its identities at once, by entry ID, and nothing of others', async () => {
    const { cache, set, sign } = cacheOf();
    set([entry('b', ['u:1']), entry('a', ['u:1', 'g:1']), entry('c', ['u:2'])]);
    sign('a', 'b', 'c');
    const watcher = watch(cache, 'u:1', 'g:1', 'x:y');
    await settle();
    expect(watcher.ids()).toEqual([['a', 'b']]);
    await watcher.stop();
  });

  it('waits until all of its entries are signed, and has them signed', async () => {
    const { cache, set, sign, stale } = cacheOf({ maxSvids: 1 });
    let demands = 0;
    const unsubscribe = cache.onDemand(() => (demands += 1));
    set([entry('a', ['u:1']), entry('b', ['u:1']), entry('c', ['u:2'])]);
    sign('c');
    const watcher = watch(cache, 'u:1');
    await settle();
    expect(demands).toBe(1);
    expect(stale()).toEqual(['a', 'b']);
    sign('a');
    await settle();
    expect(watcher.taken).toEqual([]);
    sign('b');
    await settle();
    expect(watcher.ids()).toEqual([['a', 'b']]);
    unsubscribe();
    await watcher.stop();
  });

  it('without any entry is told so at once, and hears when that changes', async () => {
    const { cache, set, sign } = cacheOf();
    const watcher = watch(cache, 'u:1');
    await settle();
    expect(watcher.ids()).toEqual([[]]);
    set([entry('a', ['u:1'])]);
    sign('a');
    await settle();
    expect(watcher.ids().at(-1)).toEqual(['a']);
    await watcher.stop();
  });

  it('hears of a new SVID, a new bundle and a lost entry, but not of what concerns others', async () => {
    const { cache, set, sign } = cacheOf();
    const a = entry('a', ['u:1']);
    set([a, entry('b', ['u:2'])]);
    sign('a', 'b');
    const watcher = watch(cache, 'u:1');
    await settle();
    sign('b');
    set([a, entry('b', ['u:2'], { revisionNumber: 1 })]);
    set([a], { ...bundle });
    await settle();
    expect(watcher.taken).toHaveLength(1);
    sign('a');
    await settle();
    expect(watcher.taken).toHaveLength(2);
    set([a], { ...bundle, sequenceNumber: 2n });
    await settle();
    expect(watcher.taken.at(-1)?.bundle.sequenceNumber).toBe(2n);
    set([]);
    await settle();
    expect(watcher.ids().at(-1)).toEqual([]);
    await watcher.stop();
  });

  it('that is slow gets the newest state only', async () => {
    const { cache, set, sign } = cacheOf();
    set([entry('a', ['u:1'])]);
    sign('a');
    const updates = cache.subscribe(selectors('u:1'), new AbortController().signal)[Symbol.asyncIterator]();
    await updates.next();
    for (let at = 2n; at < 5n; at += 1n) set([entry('a', ['u:1'])], { ...bundle, sequenceNumber: at });
    const { value } = await updates.next();
    expect((value as WorkloadUpdate).bundle.sequenceNumber).toBe(4n);
    await updates.return?.(undefined);
  });

  it('shares its update with others that show the same selectors, whatever their order', async () => {
    const { cache, set, sign } = cacheOf();
    set([entry('a', ['u:1'])]);
    sign('a');
    const [one, two] = [watch(cache, 'u:1', 'g:1'), watch(cache, 'g:1', 'u:1')];
    await settle();
    expect(one.taken[0]).toBe(two.taken[0]);
    await Promise.all([one.stop(), two.stop()]);
  });

  it('is forgotten when it leaves', async () => {
    const { cache, set, stale } = cacheOf({ maxSvids: 0 });
    set([entry('a', ['u:1'])]);
    const watcher = watch(cache, 'u:1');
    await settle();
    expect(stale()).toEqual(['a']);
    await watcher.stop();
    expect(stale()).toEqual([]);
  });
});

describe('an edited entry', () => {
  it('shows its new name only together with the certificate that proves it', async () => {
    const { cache, set, sign } = cacheOf();
    set([entry('a', ['u:1'])]);
    sign('a');
    const renamed = entry('a', ['u:1'], {
      revisionNumber: 1,
      spiffeId: parseSpiffeId('spiffe://example.org/new'),
      hint: 'h',
    });
    set([renamed]);
    expect(cache.snapshot(selectors('u:1')).identities.map(({ entry }) => entry.spiffeId)).toEqual([
      'spiffe://example.org/a',
    ]);
    sign('a');
    const [identity] = cache.snapshot(selectors('u:1')).identities;
    expect(identity?.entry).toBe(renamed);
  });

  it('is taken from workloads that it no longer matches at once', async () => {
    const { cache, set, sign } = cacheOf();
    set([entry('a', ['u:1'])]);
    sign('a');
    const watcher = watch(cache, 'u:1');
    await settle();
    set([entry('a', ['u:2'], { revisionNumber: 1 })]);
    await settle();
    expect(watcher.ids()).toEqual([['a'], []]);
    await watcher.stop();
  });

  it('refuses an SVID that was signed for an earlier revision, or for an entry that is gone', () => {
    const { cache, set } = cacheOf();
    set([entry('a', ['u:1'], { revisionNumber: 1 })]);
    cache.setSvids(
      new Map([
        ['a', svid(0)],
        ['gone', svid(0)],
      ]),
    );
    expect(cache.svidCount).toBe(0);
  });

  it('for an SVID store never reaches a workload', () => {
    const { cache, set, sign, stale } = cacheOf();
    set([entry('a', ['u:1'])]);
    sign('a');
    set([entry('a', ['u:1'], { revisionNumber: 1, storeSvid: true })]);
    expect(cache.svidCount).toBe(0);
    expect(cache.matchingEntries(selectors('u:1'))).toEqual([]);
    expect(cache.snapshot(selectors('u:1')).identities).toEqual([]);
    expect(stale()).toEqual([]);
  });
});

describe('federated bundles', () => {
  const federated = (sequenceNumber: bigint) => new Map([[other, { ...emptyBundle(other), sequenceNumber }]]);

  it('come with the identities that federate, as soon as they hold an SVID', async () => {
    const { cache, set, sign } = cacheOf();
    const entries = [entry('a', ['u:1'], { federatesWith: [other] }), entry('b', ['u:2'])];
    set(entries, bundle, federated(1n));
    expect(cache.snapshot(selectors('u:1')).federatedBundles.size).toBe(0);
    sign('a', 'b');
    expect([...cache.snapshot(selectors('u:1')).federatedBundles.keys()]).toEqual(['other.org']);
    expect(cache.snapshot(selectors('u:2')).federatedBundles.size).toBe(0);
  });

  it('are news only when their content changed', async () => {
    const { cache, set, sign } = cacheOf();
    const entries = [entry('a', ['u:1'], { federatesWith: [other] })];
    set(entries, bundle, federated(1n));
    sign('a');
    const watcher = watch(cache, 'u:1');
    await settle();
    set(entries, bundle, federated(1n));
    await settle();
    expect(watcher.taken).toHaveLength(1);
    set(entries, bundle, federated(2n));
    await settle();
    expect(watcher.taken).toHaveLength(2);
    set(entries, bundle, new Map());
    await settle();
    expect(watcher.taken.at(-1)?.federatedBundles.size).toBe(0);
    await watcher.stop();
  });
});

describe('why a workload has no identity', () => {
  it('is said by the entries it comes nearest to', () => {
    const { cache, set } = cacheOf();
    set([
      entry('far', ['u:1', 'g:1', 'p:1']),
      entry('near', ['u:1', 'g:2']),
      entry('store', ['u:1', 'q:1'], { storeSvid: true }),
    ]);
    expect(cache.refusals(selectors('u:1')).map(({ entry, missing }) => [entry.id, missing])).toEqual([
      ['near', selectors('g:2')],
      ['far', selectors('g:1', 'p:1')],
    ]);
  });
});
