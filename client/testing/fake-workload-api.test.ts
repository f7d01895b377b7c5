import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../common/clock.ts';
import { connectUnix } from '../../common/rpc/client.ts';
import { workloadService } from '../../common/rpc/services.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { verifyJwtSvid } from '../../spiffe/jwt/verify.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import { rawCall } from '../../test/support/raw-grpc.ts';
import { createBundleSource } from '../bundle-source.ts';
import { createX509Source, type X509SourceOptions } from '../x509-source.ts';
import { workloadApi } from '../workload-api.ts';
import { createFakeWorkloadApi, type FakeWorkloadApi, type FakeWorkloadApiOptions } from './fake-workload-api.ts';

const web = 'spiffe://example.org/web';
const db = 'spiffe://example.org/db';
const own = parseTrustDomain('example.org');
const other = parseTrustDomain('b.test');
const open: (() => PromiseLike<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function start(options: FakeWorkloadApiOptions = {}): Promise<FakeWorkloadApi> {
  const fake = await createFakeWorkloadApi(options);
  open.push(() => fake[Symbol.asyncDispose]());
  return fake;
}

function clientOf({ address }: FakeWorkloadApi, wit = false) {
  const backoff = { initial: 1, factor: 1, max: 1, jitter: 0 };
  const api = workloadApi({ address, wit, backoff });
  open.push(() => api.close());
  return api;
}

/** A source, and what it heard, in order. */
async function sourceOf(fake: FakeWorkloadApi, options: X509SourceOptions = {}) {
  const events: string[] = [];
  let happened: () => void = () => undefined;
  const note = (what: string): void => {
    events.push(what);
    happened();
  };
  const onError = ({ code }: { readonly code: string }): void => note(code);
  const source = await createX509Source({ api: clientOf(fake), onError, ...options });
  open.push(() => source.close());
  source.onUpdate(() => note('update'));
  const heard = async (what: string): Promise<void> => {
    while (!events.includes(what)) {
      await new Promise<void>((resolve) => {
        happened = resolve;
      });
    }
    events.splice(0, events.indexOf(what) + 1);
  };
  return { source, events, heard };
}

describe('identities', () => {
  it.each(['unix', 'tcp'] as const)('are served over %s with bundles that verify them', async (transport) => {
    const fake = await start({ transport });
    await fake.issue(web, { hint: 'internal' });
    await fake.issue(db);
    await fake.federate('b.test');
    expect(fake.address).toMatch(transport === 'unix' ? /^unix:\/\/\// : /^tcp:\/\/127\.0\.0\.1:\d+$/);
    const { svids, bundles } = await clientOf(fake).x509.fetch();
    expect(svids.map(({ id, hint }) => [id, hint])).toEqual([
      [web, 'internal'],
      [db, ''],
    ]);
    expect(verifyX509Svid(svids[0].chain, (of) => bundles.get(of), Date.now()).id).toBe(web);
    expect([...bundles.keys()].sort()).toEqual([other, own]);
  });

  it('take the place of one with the same ID and hint', async () => {
    const fake = await start();
    const first = await fake.issue(web);
    const second = await fake.issue(web);
    await fake.issue(web, { hint: 'b' });
    expect(fake.svids).toHaveLength(2);
    expect(fake.svids[0]).toBe(second);
    expect(second).not.toBe(first);
  });

  it('may be of several trust domains, each beside its own bundle', async () => {
    const fake = await start();
    await fake.issue(web);
    await fake.issue('spiffe://b.test/x', { hint: 'b' });
    const { svids, bundles } = await clientOf(fake).x509.fetch();
    const [, foreign] = svids;
    expect(verifyX509Svid(foreign?.chain ?? [], (of) => bundles.get(of), Date.now()).id).toBe('spiffe://b.test/x');
  });

  it('can be set all at once', async () => {
    const fake = await start();
    const crl = [Buffer.from('crl')];
    const svid = await fake.authority.issueX509(db);
    await fake.issue(web);
    fake.setX509({ svids: [svid], federated: [await fake.authorityOf('b.test')], crl });
    const context = await clientOf(fake).x509.fetch();
    expect(context).toMatchObject({ svids: [{ id: db }], crl });
    expect(context.bundles.has(other)).toBe(true);
    const foreign = { ...svid, id: 'spiffe://c.test/x' as typeof svid.id };
    expect(() => fake.setX509({ svids: [foreign] })).toThrow('no authority of spiffe://c.test/x');
  });

  it('are refused to a workload without one, which still gets bundles', async () => {
    const fake = await start();
    const api = clientOf(fake);
    await expect(api.x509.fetch()).rejects.toMatchObject({ code: 'permission-denied', message: 'no identity issued' });
    expect([...(await api.x509Bundles.fetch()).bundles.keys()]).toEqual([own]);
  });
});

describe('changes', () => {
  it('reach open streams: renewal under the same root, rotation of roots in one update, federation', async () => {
    const fake = await start();
    await fake.issue(web);
    const { source, events, heard } = await sourceOf(fake);
    const first = source.svid;
    await fake.renew();
    await heard('update');
    const second = source.svid;
    expect(second.privateKey.equals(first.privateKey)).toBe(false);
    await fake.rotate();
    await heard('update');
    expect(source.svid).not.toBe(second);
    expect(source.x509Bundles.get(own)).toHaveLength(2);
    fake.authority.retire();
    await heard('update');
    expect(verifyX509Svid(source.svid.chain, (of) => source.x509Bundles.get(of), Date.now()).id).toBe(web);
    await fake.federate(await fake.authorityOf('b.test'));
    await heard('update');
    expect(source.x509Bundles.has(other)).toBe(true);
    await (await fake.authorityOf('b.test')).rotate();
    await heard('update');
    expect(source.x509Bundles.get(other)).toHaveLength(2);
    fake.unfederate('b.test');
    await heard('update');
    expect(source.x509Bundles.has(other)).toBe(false);
    expect(events).toEqual([]);
  });

  it('reach those who only verify, for X.509 and JWT', async () => {
    const fake = await start();
    const source = await createBundleSource({ api: clientOf(fake) });
    open.push(() => source.close());
    let both = 0;
    const twice = new Promise<void>((resolve) => source.onUpdate(() => (both += 1) === 2 && resolve()));
    await fake.authority.rotate();
    await twice;
    expect(source.x509Bundles.get(own)).toHaveLength(2);
    expect(source.jwtBundles.get(own)).toHaveLength(2);
  });

  it('revoke ends streams with permission-denied until an identity comes again', async () => {
    const fake = await start();
    await fake.issue(web);
    const { source, heard } = await sourceOf(fake);
    fake.revoke();
    await heard('permission-denied');
    expect(() => source.svid).toThrow('no identity issued');
    await expect(clientOf(fake).x509Bundles.fetch()).rejects.toMatchObject({ code: 'permission-denied' });
    fake.recover();
    // Each refusal is an update as well.
    const idOf = (): string | undefined => {
      try {
        return source.svid.id;
      } catch {
        return undefined;
      }
    };
    while (idOf() === undefined) await heard('update');
    expect(idOf()).toBe(web);
  });
});

describe('tokens', () => {
  it('come for each identity or the asked one, and are verified for real', async () => {
    const fake = await start({ jwtTtlSeconds: 60 });
    await fake.issue(web);
    await fake.issue(db, { hint: 'd' });
    const api = clientOf(fake);
    const all = await api.fetchJwtSvids({ audience: ['x', 'y'] });
    expect(all.map(({ id, hint }) => [id, hint])).toEqual([
      [web, ''],
      [db, 'd'],
    ]);
    const [one] = await api.fetchJwtSvids({ audience: ['x'], id: fake.svids[1]?.id });
    expect(one.id).toBe(db);
    expect(one.expiresAt - (one.issuedAt ?? 0)).toBe(60_000);
    const authorities = fake.authority.bundle.jwtAuthorities;
    await verifyJwtSvid(one.token, { audience: ['x'], authorities: () => authorities, now: Date.now() });
    expect(await api.validateJwtSvid(one.token, 'x')).toMatchObject({ id: db, claims: { aud: ['x'] } });
    await expect(api.validateJwtSvid(one.token, 'z')).rejects.toMatchObject({ code: 'invalid-argument' });
    const foreign = await (await fake.authorityOf('b.test')).issueJwt('spiffe://b.test/x', ['x']);
    await expect(api.validateJwtSvid(foreign, 'x')).rejects.toThrow('no keys found for trust domain');
    await fake.federate('b.test');
    expect((await api.validateJwtSvid(foreign, 'x')).id).toBe('spiffe://b.test/x');
  });

  it('are refused to those without an identity, or for that of somebody else', async () => {
    const fake = await start();
    const api = clientOf(fake);
    const { id } = await fake.authority.issueX509(db);
    await expect(api.fetchJwtSvids({ audience: ['x'] })).rejects.toMatchObject({ code: 'permission-denied' });
    await fake.issue(web);
    await expect(api.fetchJwtSvids({ audience: ['x'], id })).rejects.toMatchObject({ code: 'permission-denied' });
  });

  it('end by the clock of the fake', async () => {
    const clock = new ManualClock();
    const fake = await start({ clock });
    await fake.issue(web);
    const api = clientOf(fake);
    const [{ token }] = await api.fetchJwtSvids({ audience: ['x'] });
    await clock.advance(299_000);
    expect((await api.validateJwtSvid(token, 'x')).id).toBe(web);
    await clock.advance(120_000);
    await expect(api.validateJwtSvid(token, 'x')).rejects.toThrow('token has expired');
  });
});

describe('WIT-SVIDs', () => {
  const header = { metadata: { 'workload.spiffe.io': 'true' } };

  it('are unimplemented unless asked for', async () => {
    const fake = await start();
    await fake.issue(web);
    const api = clientOf(fake, true);
    await expect(api.witSvids.fetch()).rejects.toMatchObject({ code: 'unimplemented' });
    await expect(api.witBundles.fetch()).rejects.toMatchObject({ code: 'unimplemented' });
  });

  it('are served with their keys and bundles, and renewed with the identity', async () => {
    const fake = await start({ wit: true });
    await fake.issue(web, { hint: 'h' });
    const channel = connectUnix(fake.address.slice('unix://'.length));
    open.push(() => channel.close());
    const stream = channel.serverStream(workloadService(), 'FetchWITSVID', {}, header)[Symbol.asyncIterator]();
    const first = (await stream.next()).value?.svids[0];
    expect(first).toMatchObject({ spiffe_id: web, hint: 'h' });
    expect(JSON.parse(first?.wit_svid_key ?? '')).toMatchObject({ kty: 'EC', alg: 'ES256' });
    // Nothing that this stream tells has changed, so the renewal is what comes next.
    await fake.federate('b.test');
    await fake.renew();
    expect((await stream.next()).value?.svids[0]?.wit_svid).not.toBe(first?.wit_svid);
    await stream.return?.(undefined);
    for await (const { bundles } of channel.serverStream(workloadService(), 'FetchWITBundles', {}, header)) {
      expect(Object.keys(bundles)).toEqual(['spiffe://example.org', 'spiffe://b.test']);
      break;
    }
  });
});

describe('scripted misbehaviour', () => {
  it('fails so many calls of some methods', async () => {
    const fake = await start();
    await fake.issue(web);
    const api = clientOf(fake);
    fake.fail('unavailable', { times: 2, methods: ['FetchX509SVID'], message: 'busy' });
    await expect(api.x509.fetch()).rejects.toMatchObject({ code: 'unavailable', message: 'busy' });
    await api.x509Bundles.fetch();
    await expect(api.x509.fetch()).rejects.toThrow('busy');
    expect((await api.x509.fetch()).svids).toHaveLength(1);
    fake.fail('internal', { times: Infinity });
    await expect(api.x509.fetch()).rejects.toThrow('scripted failure');
    fake.recover();
    expect((await api.x509.fetch()).svids).toHaveLength(1);
  });

  it('keeps silent on open and new streams and calls, until it recovers and tells what it kept', async () => {
    const fake = await start();
    await fake.issue(web);
    const { source, heard } = await sourceOf(fake);
    const api = clientOf(fake);
    fake.silence();
    await fake.rotate();
    await expect(api.x509.fetch({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'deadline-exceeded' });
    await expect(api.fetchJwtSvids({ audience: ['x'] }, { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'deadline-exceeded',
    });
    expect(source.x509Bundles.get(own)).toHaveLength(1);
    const late = api.fetchJwtSvids({ audience: ['x'] });
    await fake.waitForCalls('FetchJWTSVID', 2);
    fake.recover();
    await heard('update');
    expect(source.x509Bundles.get(own)).toHaveLength(2);
    expect((await late)[0].id).toBe(web);
  });

  it('ends streams well or badly; clients come again', async () => {
    const fake = await start();
    await fake.issue(web);
    const { heard } = await sourceOf(fake);
    fake.endStreams();
    await heard('unavailable');
    await fake.waitForCalls('FetchX509SVID', 2);
    await heard('update');
    fake.breakStreams('internal', ['FetchX509Bundles']);
    fake.breakStreams('resource-exhausted', ['FetchX509SVID']);
    await heard('resource-exhausted');
    await heard('update');
    expect(fake.calls.map(({ outcome }) => outcome)).toEqual(['ok', 'resource-exhausted', undefined]);
  });

  it('sends whatever bytes, to open streams or as the next answer', async () => {
    const fake = await start();
    await fake.issue(web);
    const { source, heard } = await sourceOf(fake);
    fake.sendRaw('FetchX509SVID', new Uint8Array());
    await heard('data-loss');
    expect(source.svid.id).toBe(web);
    const api = clientOf(fake);
    fake.sendRaw('FetchJWTSVID', Buffer.from([0x0a, 0x00]));
    await expect(api.fetchJwtSvids({ audience: ['x'] })).rejects.toMatchObject({ code: 'data-loss' });
    expect((await api.fetchJwtSvids({ audience: ['x'] }))[0].id).toBe(web);
    fake.sendRaw('FetchJWTBundles', Buffer.from('garbage'));
    await expect(api.jwtBundles.fetch()).rejects.toMatchObject({ code: 'internal' });
    expect((await api.jwtBundles.fetch()).has(own)).toBe(true);
  });

  it('restarts at the same address, breaking connections off', async () => {
    for (const transport of ['unix', 'tcp'] as const) {
      const fake = await start({ transport });
      await fake.issue(web);
      const { heard } = await sourceOf(fake);
      await fake.stop();
      await heard('unavailable');
      await expect(clientOf(fake).x509.fetch()).rejects.toMatchObject({ code: 'unavailable' });
      expect(fake.streamCount('FetchX509SVID')).toBe(0);
      await fake.start();
      await heard('update');
      await fake.restart();
      await heard('unavailable');
      await heard('update');
      expect(fake.streamCount('FetchX509SVID')).toBe(1);
    }
  });
});

describe('the record of calls', () => {
  it('holds method, metadata, request, time and outcome, also of calls without the security header', async () => {
    const clock = new ManualClock();
    const fake = await start({ clock });
    await fake.issue(web);
    await clientOf(fake).fetchJwtSvids({ audience: ['x'] });
    const channel = connectUnix(fake.address.slice('unix://'.length));
    open.push(() => channel.close());
    for (const metadata of [{}, { 'workload.spiffe.io': 'True' }]) {
      const call = channel.call(workloadService(), 'FetchJWTSVID', { audience: ['x'] }, { metadata });
      await expect(call).rejects.toMatchObject({ code: 'invalid-argument', message: /security header/ });
    }
    const path = fake.address.slice('unix://'.length);
    const twice = { 'workload.spiffe.io': ['true', 'true'] };
    expect(await rawCall(path, '/SpiffeWorkloadAPI/FetchX509SVID', twice, Buffer.of())).toMatchObject({ status: 3 });
    expect(fake.calls.map(({ method, outcome, at }) => [method, outcome, at])).toEqual([
      ['FetchJWTSVID', 'ok', clock.now()],
      ['FetchJWTSVID', 'invalid-argument', clock.now()],
      ['FetchJWTSVID', 'invalid-argument', clock.now()],
      ['FetchX509SVID', 'invalid-argument', clock.now()],
    ]);
    expect(fake.calls[0]?.request).toMatchObject({ audience: ['x'] });
    expect(fake.calls[0]?.metadata.get('workload.spiffe.io')).toEqual(['true']);
  });
});

it('leaves nothing behind, however silent it is', async () => {
  const before = await readdir(tmpdir());
  const fake = await createFakeWorkloadApi();
  await fake.issue(web);
  const api = clientOf(fake);
  await api.x509.fetch();
  fake.silence();
  const asked = api.fetchJwtSvids({ audience: ['x'] });
  asked.catch(() => undefined);
  await fake.waitForCalls('FetchJWTSVID', 1);
  await fake[Symbol.asyncDispose]();
  await expect(asked).rejects.toMatchObject({ code: 'unavailable' });
  const folder = fake.address.split('/').at(-2);
  expect(before.length).toBeGreaterThan(0);
  expect(await readdir(tmpdir())).not.toContain(folder);
});
