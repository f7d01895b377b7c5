import { describe, expect, it } from 'vitest';
import { federatedDomain, watching } from '../../test/support/bundle-endpoint.ts';
import { combineBundles } from './combine.ts';
import { createTestAuthority } from '../testing/authority.ts';

describe('watchBundle', () => {
  it('fails when the first fetch does and there is nothing to go on with', async () => {
    await using b = await federatedDomain();
    b.endpoint.answer({ status: 500 });
    await expect(watching(b.spiffe)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('goes on with a bundle of an earlier process, and fetches at once', async () => {
    await using b = await federatedDomain();
    b.endpoint.answer({ status: 500 }, b.authority.bundle);
    const initial = { ...b.authority.bundle, refreshHint: 120, sequenceNumber: 0n };
    using w = await watching(b.spiffe, { initial });
    expect(w.watch.current).toBe(initial);
    await w.untilFetched(1);
    expect(w.events).toEqual(['unavailable']);
    await w.passUntilFetch(120);
    expect(w.events).toEqual(['unavailable', 'update']);
    expect(w.watch.current.sequenceNumber).toBe(1n);
  });

  it('refuses an initial bundle, and one of an operator, of another trust domain', async () => {
    await using b = await federatedDomain();
    const { bundle } = await createTestAuthority('c.test');
    await expect(watching(b.spiffe, { initial: bundle })).rejects.toThrow('bundle of c.test instead of b.test');
    using w = await watching(b.spiffe);
    expect(() => w.watch.set(bundle)).toThrow('bundle of c.test instead of b.test');
  });

  it('tells nobody of a bundle that says the same', async () => {
    await using b = await federatedDomain();
    using w = await watching(b.spiffe);
    await w.passUntilFetch(300);
    expect(w.fetches).toHaveLength(2);
    expect(w.events).toEqual([]);
  });

  it('keeps the last interval after a failure, and takes a new one from each success', async () => {
    await using b = await federatedDomain();
    const hinting = (refreshHint: number) => ({ ...b.authority.bundle, refreshHint });
    b.endpoint.answer(hinting(90), { status: 500 }, { status: 500 }, hinting(5), hinting(1_000_000));
    using w = await watching(b.spiffe);
    await w.passUntilFetch(90);
    await w.passUntilFetch(90);
    await w.passUntilFetch(90);
    await w.passUntilFetch(60);
    await b.renew();
    expect(w.events).toEqual(['unavailable', 'unavailable', 'update', 'update']);
    using own = await watching(b.spiffe, { interval: { least: 10, most: 20 } });
    await own.passUntilFetch(20);
  });

  it('stops when closed, whatever it is at', async () => {
    await using b = await federatedDomain();
    const w = await watching(b.spiffe);
    b.endpoint.answer('silence');
    await w.clock.advance(300_000);
    while (b.endpoint.requests.length < 2) await new Promise((resolve) => setImmediate(resolve));
    w.watch.close();
    await w.untilFetched(2);
    expect(w.fetches[1]?.error?.code).toBe('cancelled');
    expect(w.events).toEqual([]);
    expect(w.clock.sleeping).toBe(0);
    expect(() => w.watch.current).toThrow('the watch is closed');
    expect(() => w.watch.x509Bundles).toThrow('the watch is closed');

    const resting = await watching(b.with({ url: b.endpoint.url }), { initial: b.authority.bundle });
    resting.watch[Symbol.dispose]();
    await resting.untilFetched(1);
    expect(resting.clock.sleeping).toBe(0);
  });
});

describe('combineBundles', () => {
  it('has the bundle of each trust domain whole, from the first that knows it', async () => {
    await using b = await federatedDomain();
    using w = await watching(b.spiffe);
    const [a, otherB] = [await createTestAuthority('a.test'), await createTestAuthority('b.test')];
    const { x509Bundles, jwtBundles } = combineBundles(a, w.watch, otherB);
    expect([...x509Bundles.keys()].sort()).toEqual(['a.test', 'b.test']);
    expect(x509Bundles.get(b.authority.trustDomain)).toEqual(b.authority.x509Bundles.get(b.authority.trustDomain));
    expect(jwtBundles.get(b.authority.trustDomain)).toEqual(b.authority.bundle.jwtAuthorities);
    expect(jwtBundles.get(a.trustDomain)).toEqual(a.bundle.jwtAuthorities);
  });
});
