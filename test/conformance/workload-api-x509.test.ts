import { createPrivateKey, createPublicKey } from 'node:crypto';
import { describe, expect } from 'vitest';
import { checkHint } from '../../server/entries/validate.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificates, spiffeIdOf } from '../../spiffe/x509/certificate.ts';
import { splitCertificates } from '../../spiffe/x509/certificate.ts';
import {
  next,
  openX509,
  openX509Bundles,
  testAuthority,
  testEntry,
  startedWorkloadApis,
  withTwoIdentities,
} from '../support/workload-api.ts';
import { row } from './row.ts';

// What our agent does for X509-SVIDs, over real sockets.

const start = startedWorkloadApis();

const withIdentities = async () => withTwoIdentities(await start(), other);

const other = parseTrustDomain('other.org');
const denied = { code: 'permission-denied', message: 'no identity issued' };

/** The first message of a stream, which then is left. */
async function firstOf<T>(stream: AsyncIterator<T, unknown>): Promise<T> {
  const message = await next(stream);
  await stream.return?.();
  return message;
}

describe('FetchX509SVID', () => {
  row('WAPI-22').shows('who has no identity gets no message, and a stream that loses the last one ends', async () => {
    const { channel, setEntries, sign } = await start();
    await expect(openX509(channel).next()).rejects.toMatchObject(denied);
    setEntries([testEntry('a', ['u:1'])]);
    sign();
    const stream = openX509(channel);
    expect((await next(stream)).svids).toHaveLength(1);
    const end = stream.next();
    setEntries([]);
    await expect(end).rejects.toMatchObject(denied);
  });

  row('WAPI-23').shows('both are empty where there is nothing to send', async () => {
    const { channel, setEntries, sign } = await start();
    setEntries([testEntry('a', ['u:1'])]);
    sign();
    expect(await firstOf(openX509(channel))).toMatchObject({ crl: [], federated_bundles: {} });
  });

  row('WAPI-24').shows('every field but the hint is filled', async () => {
    const { channel } = await withIdentities();
    const { svids } = await firstOf(openX509(channel));
    for (const { hint: _hint, ...fields } of svids) {
      expect(Object.keys(fields)).toEqual(['spiffe_id', 'x509_svid', 'x509_svid_key', 'bundle']);
      for (const value of Object.values(fields)) expect(value.length).toBeGreaterThan(0);
    }
  });

  row('WAPI-25').shows('the ID beside a certificate is the one in it', async () => {
    const { channel } = await withIdentities();
    for (const { spiffe_id: id, x509_svid: chain } of (await firstOf(openX509(channel))).svids) {
      expect(spiffeIdOf(parseCertificates(chain)[0] ?? expect.fail())).toBe(id);
    }
  });

  row('WAPI-26').shows('a chain is DER, the leaf first', async () => {
    const { channel } = await withIdentities();
    for (const { x509_svid: chain } of (await firstOf(openX509(channel))).svids) {
      const certificates = parseCertificates(chain);
      expect(Buffer.concat(splitCertificates(chain)).equals(chain)).toBe(true);
      expect(certificates.map(({ isCa }) => isCa === true)).toEqual([false]);
    }
  });

  const keysOf = async () => {
    const { channel } = await withIdentities();
    return (await firstOf(openX509(channel))).svids;
  };
  row('WAPI-27').shows('a key is PKCS#8 DER without a password', async () => {
    for (const { x509_svid_key: key } of await keysOf()) {
      const read = createPrivateKey({ key, format: 'der', type: 'pkcs8' });
      expect(read.export({ type: 'pkcs8', format: 'der' })).toEqual(key);
    }
  });
  row('WAPI-31').shows('a key is that of the leaf beside it', async () => {
    for (const { x509_svid: chain, x509_svid_key: key } of await keysOf()) {
      const own = createPublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs8' }));
      expect(own.export({ type: 'spki', format: 'der' })).toEqual(parseCertificates(chain)[0]?.publicKey);
    }
  });

  row('WAPI-28')
    .shows('the own bundle is the concatenated DER of its certificates', async () => {
      const agent = await start();
      const next2 = await testAuthority(agent.authority.bundle.trustDomain);
      const x509Authorities = [...agent.authority.bundle.x509Authorities, ...next2.bundle.x509Authorities];
      agent.setEntries([testEntry('a', ['u:1'])], { ...agent.authority.bundle, x509Authorities });
      agent.sign();
      const [svid] = (await firstOf(openX509(agent.channel))).svids;
      expect(splitCertificates(svid?.bundle ?? Buffer.of())).toEqual(x509Authorities.map((one) => one.certificate));
    })
    .shows('before the bundle is known the caller is told to come back', async () => {
      const { authority, channel, setEntries, sign } = await start();
      setEntries([testEntry('a', ['u:1'])], { ...authority.bundle, x509Authorities: [] });
      sign();
      await expect(openX509(channel).next()).rejects.toMatchObject({ code: 'unavailable' });
    });

  row('WAPI-29').shows(
    'foreign bundles stand under the ID of their trust domain, and empty ones are left out',
    async () => {
      const { authority, channel, foreign, setEntries, sign } = await withIdentities();
      const empty = parseTrustDomain('empty.org');
      setEntries([testEntry('a', ['u:1'], { federatesWith: [other, empty] })], authority.bundle, [
        foreign.bundle,
        { ...foreign.bundle, trustDomain: empty, x509Authorities: [] },
      ]);
      sign();
      const { federated_bundles: bundles } = await firstOf(openX509(channel));
      expect(bundles).toEqual({ 'spiffe://other.org': foreign.bundle.x509Authorities[0]?.certificate });
    },
  );

  row('WAPI-30').shows('there are no revocation lists to send, so the list is empty', async () => {
    const { channel } = await withIdentities();
    expect((await firstOf(openX509(channel))).crl).toEqual([]);
    expect((await firstOf(openX509Bundles(channel))).crl).toEqual([]);
  });

  row('WAPI-32').shows('of several identities with one hint one is sent, of those without a hint all are', async () => {
    const { channel, setEntries, sign } = await start();
    setEntries([
      testEntry('a', ['u:1'], { hint: 'h', createdAt: 5 }),
      testEntry('b', ['u:1'], { hint: 'h', createdAt: 4 }),
      testEntry('c', ['u:1']),
      testEntry('d', ['u:1']),
    ]);
    sign();
    const { svids } = await firstOf(openX509(channel));
    expect(svids.map(({ spiffe_id, hint }) => [spiffe_id.at(-1), hint])).toEqual([
      ['b', 'h'],
      ['c', ''],
      ['d', ''],
    ]);
  });

  row('WAPI-34').shows('a caller without an identity is denied', async () => {
    const { channel, state } = await withIdentities();
    state.selectors = ['u:3'];
    await expect(openX509(channel).next()).rejects.toMatchObject(denied);
  });

  row('WAPI-83').shows('the order is that of the entry IDs, whatever order they came in', async () => {
    const entries = ['d', 'b', 'a', 'c'].map((id) => testEntry(id, ['u:1']));
    for (const given of [entries, entries.toReversed()]) {
      const { channel, setEntries, sign } = await start();
      setEntries(given);
      sign();
      const { svids } = await firstOf(openX509(channel));
      expect(svids.map(({ spiffe_id }) => spiffe_id.at(-1))).toEqual(['a', 'b', 'c', 'd']);
    }
  });

  row('WAPI-84')
    .accepts('an entry with a hint of 1024 bytes', () => checkHint('x'.repeat(1024)))
    .refuses('an entry with a hint of 1025 bytes', () => checkHint('x'.repeat(1025)), /hint is too long/)
    .refuses(
      'an entry with a hint of 1025 bytes in fewer characters',
      () => checkHint(`${'ä'.repeat(512)}x`),
      /too long/,
    );
});

describe('FetchX509Bundles', () => {
  row('WAPI-38').shows('the own trust domain is there', async () => {
    const { authority, channel } = await withIdentities();
    const { bundles } = await firstOf(openX509Bundles(channel));
    expect(bundles['spiffe://example.org']).toEqual(authority.bundle.x509Authorities[0]?.certificate);
    expect(Object.keys(bundles)).toEqual(['spiffe://example.org', 'spiffe://other.org']);
  });

  row('WAPI-39').shows('no revocation lists', async () => {
    const { channel } = await withIdentities();
    expect((await firstOf(openX509Bundles(channel))).crl).toEqual([]);
  });

  row('WAPI-40').shows('a caller without an identity is denied, also in the middle of a stream', async () => {
    const { channel, setEntries, sign } = await start();
    await expect(openX509Bundles(channel).next()).rejects.toMatchObject(denied);
    setEntries([testEntry('a', ['u:1'])]);
    sign();
    const stream = openX509Bundles(channel);
    await next(stream);
    const end = stream.next();
    setEntries([]);
    await expect(end).rejects.toMatchObject(denied);
  });
});
