import { afterAll, describe, expect } from 'vitest';
import { combineBundles } from '../../client/federation/combine.ts';
import { createTestAuthority } from '../../client/testing/authority.ts';
import { bundleFromSpiffeJson, bundleToSpiffeJson } from '../../spiffe/bundle/json.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import { federatedDomain, watching } from '../support/bundle-endpoint.ts';
import { row } from './row.ts';

// The endpoint is a real server on loopback. Each row sets what it answers, as rows run one after the other.
const b = await federatedDomain();
const c = await federatedDomain('c.test');
const { authority, endpoint } = b;
const { bundle } = authority;
const sequenced = (sequenceNumber: bigint, refreshHint = 0) => ({ ...bundle, sequenceNumber, refreshHint });
afterAll(async () => {
  for (const one of [b, c]) await one[Symbol.asyncDispose]();
});

describe('Federation 4: polling', () => {
  row('FED-05').shows('one fetch after the other', async () => {
    endpoint.answer(bundle);
    using w = await watching(b.spiffe);
    await w.passUntilFetch(300);
    await w.passUntilFetch(300);
    expect(w.fetches).toHaveLength(3);
  });

  row('FED-06').shows('every 60 s for a hint of 60, every 600 s for one of 600', async () => {
    endpoint.answer(sequenced(1n, 60), sequenced(2n, 600), sequenced(3n, 600));
    using w = await watching(b.spiffe);
    await w.passUntilFetch(60);
    await w.passUntilFetch(600);
    expect(w.watch.current.sequenceNumber).toBe(3n);
  });

  row('FED-07').shows('every 300 s without a hint', async () => {
    endpoint.answer(bundle);
    using w = await watching(b.spiffe);
    await w.passUntilFetch(300);
    expect(w.fetches).toHaveLength(2);
  });

  row('FED-08').shows('what was stored on each update is in force after a restart', async () => {
    endpoint.answer(bundle, sequenced(9n));
    let stored = '';
    {
      using w = await watching(b.spiffe);
      w.watch.onUpdate(() => {
        stored = bundleToSpiffeJson(w.watch.current);
      });
      await w.passUntilFetch(300);
    }
    endpoint.answer({ status: 500 });
    using later = await watching(b.spiffe, { initial: bundleFromSpiffeJson(stored, authority.trustDomain) });
    expect(later.watch.current.sequenceNumber).toBe(9n);
    expect(later.watch.x509Bundles.get(authority.trustDomain)).toHaveLength(1);
  });

  row('FED-09').shows('5 stays when 4 comes, which is reported, and 6 replaces it', async () => {
    endpoint.answer(sequenced(5n), sequenced(4n), sequenced(6n));
    using w = await watching(b.spiffe);
    await w.passUntilFetch(300);
    expect(w.watch.current.sequenceNumber).toBe(5n);
    expect(w.events).toEqual(['failed-precondition']);
    await w.passUntilFetch(300);
    expect(w.watch.current.sequenceNumber).toBe(6n);
  });

  row('FED-10').shows('of two without a number the later one', async () => {
    const { bundle: later } = await createTestAuthority('b.test');
    endpoint.answer(sequenced(0n), { ...later, sequenceNumber: 0n });
    using w = await watching(b.spiffe);
    await w.passUntilFetch(300);
    expect(w.watch.current.x509Authorities).toEqual(later.x509Authorities);
  });

  row('FED-11').shows('a bundle set by hand counts until the next refresh, whatever its number', async () => {
    endpoint.answer(sequenced(5n));
    using w = await watching(b.spiffe);
    w.watch.set(sequenced(100n));
    expect(w.watch.current.sequenceNumber).toBe(100n);
    await w.passUntilFetch(300);
    expect(w.watch.current.sequenceNumber).toBe(5n);
  });

  row('FED-45').shows('a poll that fails is made up for at the next interval, not sooner', async () => {
    endpoint.answer(bundle, { status: 500 }, sequenced(9n));
    using w = await watching(b.spiffe);
    await w.passUntilFetch(300);
    await w.passUntilFetch(300);
    expect(w.events).toEqual(['unavailable', 'update']);
  });

  const peer = (provider: Pick<ReturnType<typeof combineBundles>, 'x509Bundles'>, chain: readonly Buffer[]) =>
    verifyX509Svid(chain, (of) => provider.x509Bundles.get(of), Date.now()).id;
  row('FED-12')
    .accepts('an SVID by the bundle of its own trust domain', async () => {
      const { chain } = await c.authority.issueX509('spiffe://c.test/x');
      expect(peer(combineBundles(authority, c.authority), chain)).toBe('spiffe://c.test/x');
    })
    .refuses(
      'an SVID that names one trust domain under the root of another that is trusted as well',
      async () => {
        const impostor = await createTestAuthority('c.test');
        const { chain } = await impostor.issueX509('spiffe://c.test/x');
        const roots = impostor.bundle.x509Authorities.map(({ certificate }) => certificate);
        const mixed = { x509Bundles: new Map([[authority.trustDomain, roots]]), jwtBundles: new Map() };
        peer(combineBundles(mixed, c.authority), chain);
      },
      /signed by unknown authority/,
    );

  row('FED-48').shows('a record of each fetch: URL, profile, ID, result', async () => {
    endpoint.answer(bundle, { status: 500 });
    using w = await watching(b.spiffe);
    await w.passUntilFetch(300);
    const record = { ...{ trustDomain: 'b.test', url: endpoint.url, redirects: [] }, profile: 'https_spiffe' };
    expect(w.fetches).toEqual([
      { ...record, endpointId: b.endpointId },
      { ...record, endpointId: b.endpointId, error: expect.objectContaining({ code: 'unavailable' }) },
    ]);
  });
});
