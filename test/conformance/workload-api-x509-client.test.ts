import { describe, expect } from 'vitest';
import { FinialError as Failure } from '../../common/errors.ts';
import type { X509SVID } from '../../proto/gen/workload/X509SVID.ts';
import type { X509SVIDResponse } from '../../proto/gen/workload/X509SVIDResponse.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { encodePem } from '../../spiffe/x509/pem.ts';
import { issueSvid, newTestKey, type TestCertificate } from '../support/pki.ts';
import { deferred } from '../support/rpc-pair.ts';
import {
  scriptedX509Source as sourceOf,
  currentCa,
  scriptedAgent,
  scriptedStream,
  validity,
  x509Svid,
} from '../support/scripted-agent.ts';
import { row } from './row.ts';

// What our client makes of X509-SVIDs, against an agent that says what a test wants, right or wrong.

const ID = 'spiffe://example.org/w';
const ca = currentCa();
const otherCa = currentCa();
const [own, td0, td1] = ['example.org', 'td0.test', 'td1.test'].map((name) => parseTrustDomain(name));
if (own === undefined || td0 === undefined || td1 === undefined) throw new TypeError('three domains');

const good: X509SVIDResponse = { svids: [x509Svid(ca, ID)] };
const denied = new Failure('permission-denied', 'no identity issued');

/** The context that comes of one message of the agent. */
async function contextOf(message: X509SVIDResponse) {
  await using agent = await scriptedAgent({ FetchX509SVID: scriptedStream([message]) });
  return await agent.api.x509.fetch();
}

const withSvid = (more: Partial<X509SVID>) => contextOf({ svids: [x509Svid(ca, ID, more)] });

describe('X509-SVIDs', () => {
  const pkcs8 = (key: TestCertificate['key']) => key.privateKey.export({ type: 'pkcs8', format: 'der' });
  const leaf = issueSvid(ca, ID, validity());

  row('WAPI-26')
    .accepts('a leaf and the intermediate behind it', async () => {
      const { svids } = await withSvid({
        x509_svid: Buffer.concat([leaf.der, ca.der]),
        x509_svid_key: pkcs8(leaf.key),
      });
      expect(svids[0].chain).toEqual([leaf.der, ca.der]);
    })
    .refuses(
      'the leaf behind its authority',
      () => withSvid({ x509_svid: Buffer.concat([ca.der, leaf.der]), x509_svid_key: pkcs8(leaf.key) }),
      /malformed answer.*svids\[0\]/,
    )
    .refuses(
      'PEM',
      () => withSvid({ x509_svid: Buffer.from(encodePem('CERTIFICATE', leaf.der)) }),
      /malformed answer.*svids\[0\]/,
    )
    .refuses(
      'bytes behind the chain',
      () => withSvid({ x509_svid: Buffer.concat([leaf.der, Buffer.of(0)]), x509_svid_key: pkcs8(leaf.key) }),
      /malformed answer.*svids\[0\]/,
    );

  const encrypted = { type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
  row('WAPI-27')
    .accepts('PKCS#8', () => withSvid({ x509_svid: leaf.der, x509_svid_key: pkcs8(leaf.key) }))
    .refuses(
      'SEC 1',
      () =>
        withSvid({ x509_svid: leaf.der, x509_svid_key: leaf.key.privateKey.export({ type: 'sec1', format: 'der' }) }),
      /malformed answer.*svids\[0\].*key/,
    )
    .refuses(
      'a key with a password',
      () => withSvid({ x509_svid: leaf.der, x509_svid_key: leaf.key.privateKey.export(encrypted) }),
      /malformed answer.*svids\[0\].*key/,
    );

  row('WAPI-29')
    .accepts('bundles under the ID and under the bare name of a domain', async () => {
      const federated_bundles = { 'spiffe://td0.test': otherCa.der, 'td1.test': otherCa.der };
      const { bundles } = await contextOf({ ...good, federated_bundles });
      expect(Object.fromEntries(bundles)).toEqual({ [own]: [ca.der], [td0]: [otherCa.der], [td1]: [otherCa.der] });
    })
    .accepts('a bundle without bytes, which trusts nobody', async () => {
      const { bundles } = await contextOf({ ...good, federated_bundles: { 'spiffe://td0.test': Buffer.of() } });
      expect(bundles.get(td0)).toEqual([]);
    })
    .refuses(
      'a key that is no trust domain',
      () => contextOf({ ...good, federated_bundles: { 'https://td0.test': otherCa.der } }),
      /trust domain|scheme/,
    )
    .refuses(
      'PEM for a bundle',
      () =>
        contextOf({ ...good, federated_bundles: { 'td0.test': Buffer.from(encodePem('CERTIFICATE', otherCa.der)) } }),
      /bundle of td0.test/,
    );

  row('WAPI-31')
    .accepts('the key of the leaf', () => withSvid({ x509_svid: leaf.der, x509_svid_key: pkcs8(leaf.key) }))
    .refuses(
      'another key',
      () => withSvid({ x509_svid: leaf.der, x509_svid_key: pkcs8(newTestKey()) }),
      /malformed answer.*svids\[0\].*key/,
    );

  row('WAPI-33').shows('the first of one hint stays, and everything without a hint', async () => {
    const hints = ['h', '', 'h', '', 'g'];
    const { svids } = await contextOf({ svids: hints.map((hint, index) => x509Svid(ca, `${ID}${index}`, { hint })) });
    expect(svids.map(({ id }) => id.slice(ID.length))).toEqual(['0', '1', '3', '4']);
  });

  row('WAPI-35').shows('a denied client asks again, ever more rarely, and gets what it is given then', async () => {
    const script = scriptedStream<object, X509SVIDResponse>([denied], [denied], [denied], [denied], [good]);
    await using agent = await scriptedAgent({ FetchX509SVID: script });
    for await (const { svids } of agent.api.x509.watch()) {
      expect(svids[0].id).toBe(ID);
      break;
    }
    expect(agent.clock.waits.map(Math.round)).toEqual([200, 340, 578, 983]);
  });

  row('WAPI-36')
    .shows('an identity that is missing from a message is not used any more', async () => {
      const both = { svids: [x509Svid(ca, ID), x509Svid(ca, `${ID}2`, { hint: 'second' })] };
      await using run = await sourceOf([both, good]);
      expect(run.source.svidByHint('second')?.id).toBe(`${ID}2`);
      await run.step();
      expect(run.source.svidByHint('second')).toBeUndefined();
      expect(run.source.svids.map(({ id }) => id)).toEqual([ID]);
    })
    .shows('after a denial there is no identity, until the agent gives one again', async () => {
      const gate = deferred();
      await using run = await sourceOf([good, denied], [gate.promise, good]);
      await run.step();
      expect(() => run.source.svid).toThrow('no identity issued');
      expect(() => run.source.x509Bundles).toThrow('no identity issued');
      const again = new Promise<void>((resolve) => void run.source.onUpdate(resolve));
      gate.resolve();
      await again;
      expect(run.source.svid.id).toBe(ID);
    })
    .shows('who asks for it keeps the identity, but not beyond its end', async () => {
      let now = Date.now();
      const clock = { now: () => now, steady: () => 0, sleep: () => new Promise<void>(() => undefined) };
      await using run = await sourceOf([good, denied], [], { onPermissionDenied: 'keep', clock });
      await run.step();
      expect(run.source.svid.id).toBe(ID);
      now = run.source.svid.notAfter;
      expect(() => run.source.svid).toThrow('has expired');
    });

  row('WAPI-83').shows('the default identity is the first, whatever its hint', async () => {
    const svids = ['b', 'a', 'c'].map((hint) => x509Svid(ca, `${ID}-${hint}`, { hint }));
    await using run = await sourceOf([{ svids }]);
    expect(run.source.svid.id).toBe(`${ID}-b`);
  });

  row('WAPI-84')
    .accepts('a hint of 1024 bytes', () => withSvid({ hint: 'x'.repeat(1024) }))
    .refuses('a hint of 1025 bytes', () => withSvid({ hint: 'x'.repeat(1025) }), /hint has more than 1024 bytes/);

  row('WAPI-85')
    .shows('a hint that nobody has is no identity, and no crash', async () => {
      await using run = await sourceOf([good]);
      expect(run.source.svidByHint('x')).toBeUndefined();
      expect(run.source.svidByHint('toString')).toBeUndefined();
    })
    .shows('an identity by its hint is as little served beyond its end as the default one', async () => {
      let now = Date.now();
      const clock = { now: () => now, steady: () => 0, sleep: () => new Promise<void>(() => undefined) };
      await using run = await sourceOf([{ svids: [x509Svid(ca, ID, { hint: 'web' })] }], [], { clock });
      const found = run.source.svidByHint('web');
      expect(found?.id).toBe(ID);
      now = found?.notAfter ?? 0;
      expect(() => run.source.svidByHint('web')).toThrow('has expired');
    });
});
