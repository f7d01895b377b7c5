import { createPrivateKey, createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { workloadService } from '../../../common/rpc/services.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { parseCertificates, spiffeIdOf } from '../../../spiffe/x509/certificate.ts';
import { verifyX509Svid } from '../../../spiffe/x509/verify.ts';
import { TEST_NOW } from '../../../test/support/pki.ts';
import {
  next,
  openers,
  openX509,
  ownTrustDomain,
  testAuthority,
  testEntry,
  startedWorkloadApis,
  withHeader,
} from '../../../test/support/workload-api.ts';

const start = startedWorkloadApis();

const other = parseTrustDomain('other.org');

describe('FetchX509SVID', () => {
  it('gives a workload its identities with keys and bundles that verify', async () => {
    const { authority, channel, setEntries, sign } = await start();
    const foreign = await testAuthority(other);
    setEntries(
      [
        testEntry('b', ['u:1'], { hint: 'web' }),
        testEntry('a', ['u:1'], { federatesWith: [other] }),
        testEntry('c', ['u:2']),
      ],
      authority.bundle,
      [foreign.bundle],
    );
    sign();
    const stream = openX509(channel);
    const { svids, crl, federated_bundles: federated } = await next(stream);
    expect(svids.map(({ spiffe_id, hint }) => [spiffe_id, hint])).toEqual([
      ['spiffe://example.org/a', ''],
      ['spiffe://example.org/b', 'web'],
    ]);
    expect(crl).toEqual([]);
    expect(Object.keys(federated)).toEqual(['spiffe://other.org']);
    for (const { spiffe_id: id, x509_svid: chain, x509_svid_key: key, bundle } of svids) {
      const roots = parseCertificates(bundle).map(({ der }) => der);
      const certificates = parseCertificates(chain);
      const verified = verifyX509Svid(certificates, (td) => (td === ownTrustDomain ? roots : undefined), TEST_NOW);
      expect(verified.id).toBe(id);
      const privateKey = createPrivateKey({ key, format: 'der', type: 'pkcs8' });
      expect(createPublicKey(privateKey).export({ type: 'spki', format: 'der' })).toEqual(verified.leaf.publicKey);
    }
    await stream.return?.();
  });

  it('sends the whole state on each change, and nothing when nothing changed', async () => {
    const { authority, channel, setEntries, sign } = await start();
    setEntries([testEntry('a', ['u:1'])]);
    sign();
    const stream = openX509(channel);
    const first = await next(stream);
    // Neither another workload's entry nor an equal bundle is news.
    setEntries([testEntry('a', ['u:1']), testEntry('z', ['u:2'])], { ...authority.bundle });
    sign('z');
    const second = next(stream);
    setEntries([testEntry('a', ['u:1']), testEntry('b', ['u:1'])]);
    sign('b');
    expect((await second).svids.map((one) => one.spiffe_id)).toEqual([
      'spiffe://example.org/a',
      'spiffe://example.org/b',
    ]);
    expect((await second).svids[0]?.x509_svid).toEqual(first.svids[0]?.x509_svid);
    await stream.return?.();
  });

  it('keeps one identity per hint, the one of the oldest entry', async () => {
    const { channel, setEntries, sign } = await start();
    setEntries([
      testEntry('a', ['u:1'], { hint: 'h', createdAt: 5 }),
      testEntry('b', ['u:1'], { hint: 'h', createdAt: 4 }),
    ]);
    sign();
    const stream = openX509(channel);
    expect((await next(stream)).svids.map((one) => one.spiffe_id)).toEqual(['spiffe://example.org/b']);
    await stream.return?.();
  });

  it('ends with PermissionDenied when the last identity is taken away', async () => {
    const { channel, log, setEntries, sign } = await start();
    setEntries([testEntry('a', ['u:1'])]);
    sign();
    const stream = openX509(channel);
    await stream.next();
    const end = stream.next();
    setEntries([]);
    await expect(end).rejects.toMatchObject({ code: 'permission-denied', message: 'no identity issued' });
    expect(log.map(({ message }) => message)).toEqual(['Fetched X.509 SVID', 'No identity issued']);
  });

  it('leaves out trust domains without certificates, whose empty value breaks clients', async () => {
    const { authority, channel, setEntries, sign } = await start();
    const foreign = await testAuthority(other);
    setEntries([testEntry('a', ['u:1'], { federatesWith: [other] })], authority.bundle, [
      { ...foreign.bundle, x509Authorities: [] },
    ]);
    sign();
    const stream = openX509(channel);
    expect((await next(stream)).federated_bundles).toEqual({});
    await stream.return?.();
  });
});

describe('a caller', () => {
  it('without an identity learns no more than that, and the operator learns why', async () => {
    const { channel, log, setEntries, state } = await start();
    state.selectors = ['u:1', 'public:pod', 'secret:x'];
    setEntries([testEntry('near', ['u:1', 'public:ns', 'secret:y'])]);
    await expect(openX509(channel).next()).rejects.toMatchObject({
      code: 'permission-denied',
      message: 'no identity issued',
    });
    const [line] = log;
    expect(line).toMatchObject({
      message: 'No identity issued',
      fields: { registered: false, pid: 1, service: 'WorkloadAPI', method: 'FetchX509SVID', selectors: 'public:pod' },
    });
    expect(line?.fields['reason']).toContain('near');
    expect(line?.fields['reason']).toContain('public:ns');
    expect(JSON.stringify(log)).not.toContain('secret:');
  });

  it('that died while it was looked at gets nothing', async () => {
    const { channel, setEntries, sign, state } = await start();
    setEntries([testEntry('a', ['u:1'])]);
    sign();
    state.callerLives = false;
    await expect(openX509(channel).next()).rejects.toMatchObject({
      code: 'unavailable',
      message: 'workload attestation failed',
    });
  });

  it('that nobody can tell anything of may come back: nothing says that it has no identity', async () => {
    const { channel, state } = await start();
    state.attestorFails = true;
    for (const open of Object.values(openers)) {
      await expect(open(channel).next()).rejects.toMatchObject({ code: 'unavailable' });
    }
  });

  it.each([
    ['none', undefined],
    ['another value', { 'workload.spiffe.io': 'false' }],
    ['an empty one', { 'workload.spiffe.io': '' }],
  ])('needs the security header: %s', async (_what, metadata) => {
    const { channel, setEntries, sign } = await start();
    setEntries([testEntry('a', ['u:1'])]);
    sign();
    const options = { ...withHeader, metadata };
    const stream = channel.serverStream(workloadService(), 'FetchX509SVID', {}, options)[Symbol.asyncIterator]();
    const refused = { code: 'invalid-argument', message: 'security header missing from request' };
    await expect(stream.next()).rejects.toMatchObject(refused);
    await expect(channel.call(workloadService(), 'FetchJWTSVID', { audience: ['a'] }, options)).rejects.toMatchObject(
      refused,
    );
  });

  it('is told to come back when the agent stops, never that its stream has ended well', async () => {
    const { channel, setEntries, sign, stop } = await start();
    setEntries([testEntry('a', ['u:1'])]);
    sign();
    const streams = Object.values(openers).map((open) => open(channel));
    for (const stream of streams) await stream.next();
    const ends = streams.map((stream) => expect(stream.next()).rejects.toMatchObject({ code: 'unavailable' }));
    await stop(0);
    await Promise.all(ends);
  });

  it.each([
    ['FetchWITSVID', 'fetching WIT-SVIDs is not implemented'],
    ['FetchWITBundles', 'fetching WIT bundles is not implemented'],
  ] as const)('hears that there is no %s', async (method, message) => {
    const { channel } = await start();
    const stream = channel.serverStream(workloadService(), method, {}, withHeader)[Symbol.asyncIterator]();
    await expect(stream.next()).rejects.toMatchObject({ code: 'unimplemented', message });
  });
});

describe('many streams of workloads alike', () => {
  it('all get the update, each the same bytes', async () => {
    const { authority, channel, setEntries, sign } = await start();
    setEntries([testEntry('a', ['u:1'])]);
    sign();
    const streams = Array.from({ length: 10 }, () => openX509(channel));
    for (const stream of streams) await stream.next();
    const updates = streams.map(next);
    setEntries([testEntry('a', ['u:1'])], { ...authority.bundle, sequenceNumber: 2n });
    sign();
    const chains = (await Promise.all(updates)).map(({ svids }) => svids[0]?.x509_svid.toString('hex'));
    expect(new Set(chains).size).toBe(1);
    expect(spiffeIdOf(parseCertificates(Buffer.from(chains[0] ?? '', 'hex'))[0] ?? expect.fail())).toBe(
      'spiffe://example.org/a',
    );
    for (const stream of streams) await stream.return?.();
  });
});
