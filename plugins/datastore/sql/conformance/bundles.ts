import { describe, expect, it } from 'vitest';
import type { Bundle, JwtAuthority } from '../../../../spiffe/bundle/bundle.ts';
import {
  bundleOf,
  expiredCertificate,
  friend,
  home,
  type OpenTestDatabase,
  opener,
  pick,
  stranger,
  validCertificate,
} from './samples.ts';

/** Trust bundles. */
export function describeBundles(open: OpenTestDatabase): void {
  const start = opener(open);
  const key = (keyId: string, expiresAt: number, tainted = false): JwtAuthority => ({
    publicKey: Buffer.from(`key ${keyId}`),
    keyId,
    expiresAt,
    tainted,
  });
  const valid = { certificate: validCertificate, tainted: false };
  const expired = { certificate: expiredCertificate, tainted: true };
  const in2026 = Date.UTC(2026, 0, 1) / 1000;

  const full: Bundle = {
    trustDomain: home,
    x509Authorities: [valid, expired],
    jwtAuthorities: [key('a', 0), key('b', in2026 + 1, true)],
    witAuthorities: [key('w', in2026 + 1)],
    refreshHint: 300,
    sequenceNumber: 2n ** 63n + 1n,
  };

  describe('bundles', () => {
    it('keeps a bundle as it was set, and replaces it', async () => {
      const { store, another } = await start();
      expect(await store.bundles.get(home)).toBeUndefined();
      expect(await store.bundles.set(full)).toEqual(full);
      expect(await (await another()).bundles.get(home)).toEqual(full);
      const other = bundleOf({ trustDomain: home, x509Authorities: [valid], sequenceNumber: 3n });
      expect(await store.bundles.set(other)).toEqual(other);
      expect(await store.bundles.get(home)).toEqual(other);
      expect(await store.bundles.count()).toBe(1);
    });

    it('lists bundles in pages', async () => {
      const { store } = await start();
      for (const trustDomain of [home, friend, stranger]) await store.bundles.set(bundleOf({ trustDomain }));
      const all = await store.bundles.list({});
      expect(all.bundles.map((bundle) => bundle.trustDomain)).toEqual([home, friend, stranger]);
      expect(all.nextToken).toBe('');
      const first = await store.bundles.list({ page: { size: 2, token: '' } });
      expect(first.bundles.map((bundle) => bundle.trustDomain)).toEqual([home, friend]);
      const second = await store.bundles.list({ page: { size: 2, token: first.nextToken } });
      expect(second.bundles.map((bundle) => bundle.trustDomain)).toEqual([stranger]);
      expect(await store.bundles.list({ page: { size: 2, token: second.nextToken } })).toEqual({
        bundles: [],
        nextToken: '',
      });
      await expect(store.bundles.list({ page: { size: 2, token: '?' } })).rejects.toThrow("could not parse token '?'");
      expect(await store.bundles.count()).toBe(3);
    });

    it('appends to a bundle that is not there yet', async () => {
      const { store } = await start();
      const created = await store.bundles.append({ trustDomain: home, x509Authorities: [valid] });
      expect(created).toEqual(bundleOf({ trustDomain: home, x509Authorities: [valid] }));
      expect(await store.bundles.get(home)).toEqual(created);
    });

    it('appends only what is new, and counts that', async () => {
      const { store } = await start();
      await store.bundles.set(bundleOf({ trustDomain: home, x509Authorities: [valid], sequenceNumber: 5n }));
      const same = await store.bundles.append({ trustDomain: home, x509Authorities: [valid], refreshHint: 9 });
      expect(same).toEqual(bundleOf({ trustDomain: home, x509Authorities: [valid], sequenceNumber: 5n }));
      const more = await store.bundles.append({
        trustDomain: home,
        x509Authorities: [valid],
        jwtAuthorities: [key('a', 1)],
      });
      expect(more).toMatchObject({ jwtAuthorities: [key('a', 1)], sequenceNumber: 6n });
      expect(await store.bundles.get(home)).toEqual(more);
    });

    it('loses nothing when several append at once', async () => {
      const { store, another } = await start();
      const stores = [store, await another(), await another()];
      await Promise.all(
        Array.from({ length: 12 }, (_, n) =>
          pick(stores, n).bundles.append({ trustDomain: home, jwtAuthorities: [key(`${n}`, 0)] }),
        ),
      );
      const bundle = await store.bundles.get(home);
      expect(bundle?.jwtAuthorities.map((one) => Number(one.keyId)).sort((a, b) => a - b)).toEqual([
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
      ]);
      expect(bundle?.sequenceNumber).toBe(11n);
    });

    it('prunes expired authorities and tells whether there were any', async () => {
      const { store } = await start();
      expect(await store.bundles.prune(home, in2026)).toBe(false);
      const before = { ...full, jwtAuthorities: [key('old', 5), key('live', in2026 + 1)], sequenceNumber: 7n };
      await store.bundles.set(before);
      expect(await store.bundles.prune(home, in2026)).toBe(true);
      expect(await store.bundles.get(home)).toMatchObject({
        x509Authorities: [valid],
        jwtAuthorities: [key('live', in2026 + 1)],
        witAuthorities: full.witAuthorities,
        sequenceNumber: 8n,
      });
      expect(await store.bundles.prune(home, in2026)).toBe(false);
      expect((await store.bundles.get(home))?.sequenceNumber).toBe(8n);
    });

    it.each([
      ['X.509', { x509Authorities: [expired] }],
      ['JWT', { x509Authorities: [valid], jwtAuthorities: [key('old', 5)] }],
    ])('refuses to prune the last %s authority', async (_, parts) => {
      const { store } = await start();
      const before = bundleOf({ trustDomain: home, ...parts });
      await store.bundles.set(before);
      await expect(store.bundles.prune(home, in2026)).rejects.toMatchObject({ code: 'failed-precondition' });
      expect(await store.bundles.get(home)).toEqual(before);
    });
  });
}
