import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../common/clock.ts';
import { FinialError } from '../common/errors.ts';
import { subject } from '../common/observable.ts';
import { implement, serverStream, unary } from '../common/rpc/service.ts';
import { workloadService } from '../common/rpc/services.ts';
import type { X509SVIDResponse } from '../proto/gen/workload/X509SVIDResponse.ts';
import { parseSpiffeId } from '../spiffe/id.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';
import { issueCa, issueSvid, type TestCertificate } from '../test/support/pki.ts';
import { rpcPair } from '../test/support/rpc-pair.ts';
import { authorizeAny, authorizeId, authorizeTrustDomain } from './authorize.ts';
import { connectMtls, createMtlsServer } from './mtls.ts';
import { type WorkloadApi, workloadApi, type X509Context } from './workload-api.ts';
import { createX509Source } from './x509-source.ts';

const HOUR_MS = 3_600_000;
const service = workloadService();
const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

const nowCa = (): TestCertificate =>
  issueCa(undefined, { notBefore: Date.now() - HOUR_MS, notAfter: Date.now() + HOUR_MS });
const svid = (ca: TestCertificate, id: string): TestCertificate =>
  issueSvid(ca, id, { notBefore: Date.now() - HOUR_MS, notAfter: Date.now() + HOUR_MS });

function response(
  id: string,
  ca: TestCertificate,
  leaf = svid(ca, id),
  federated: Record<string, Buffer> = {},
): X509SVIDResponse {
  const x509_svid_key = leaf.key.privateKey.export({ type: 'pkcs8', format: 'der' });
  return {
    svids: [{ spiffe_id: id, x509_svid: leaf.der, x509_svid_key, bundle: ca.der, hint: '' }],
    federated_bundles: federated,
  };
}

/** A Workload API that follows a script: each call of FetchX509SVID takes the next part. */
async function scripted(parts: readonly (readonly (X509SVIDResponse | FinialError)[])[]) {
  const calls: ReadonlyMap<string, readonly string[]>[] = [];
  const pair = await rpcPair([
    implement(service, {
      FetchX509SVID: serverStream(async function* (_request, call) {
        calls.push(call.metadata);
        const part = parts[Math.min(calls.length, parts.length) - 1] ?? [];
        for (const step of part) {
          if (step instanceof FinialError) throw step;
          yield step;
        }
        await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
      }),
      FetchJWTSVID: unary(async ({ audience, spiffe_id }) => ({
        svids: [{ spiffe_id: spiffe_id || 'spiffe://a.test/x', svid: `token for ${audience.join()}`, hint: 'h' }],
      })),
      ValidateJWTSVID: unary(async ({ svid: token }) => {
        if (token !== 'good') throw new FinialError('invalid-argument', 'token has expired');
        return { spiffe_id: 'spiffe://a.test/x' };
      }),
    }),
  ]);
  const clock = new ManualClock();
  const api = workloadApi({ address: `unix://${pair.socketPath}`, clock, random: () => 0.5 });
  open.push(
    () => pair.close(),
    () => api.close(),
  );
  return { api, calls, clock };
}

/** Reads `count` updates, moving the clock so that waits between attempts pass. */
async function take(api: WorkloadApi, clock: ManualClock, count: number) {
  const stop = new AbortController();
  const seen: X509Context[] = [];
  const interruptions: string[] = [];
  const reading = (async () => {
    for await (const context of api.watchX509(stop.signal, ({ code }) => void interruptions.push(code))) {
      seen.push(context);
      if (seen.length === count) stop.abort();
    }
  })();
  const state = { over: false };
  const end = (): void => void (state.over = true);
  reading.then(end, end);
  while (!state.over) {
    await clock.advance(1000);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await reading;
  return { seen, interruptions };
}

describe('workloadApi', () => {
  it('sends the security header and hands out identities with the bundles of all trust domains', async () => {
    const ca = nowCa();
    const other = nowCa();
    const { api, calls } = await scripted([
      [response('spiffe://a.test/x', ca, undefined, { 'spiffe://b.test': other.der })],
    ]);
    const { svids, bundles } = await api.fetchX509();
    expect(svids.map(({ id }) => id)).toEqual(['spiffe://a.test/x']);
    expect(bundles.get(parseTrustDomain('a.test'))).toEqual([ca.der]);
    expect(bundles.get(parseTrustDomain('b.test'))).toEqual([other.der]);
    expect(calls[0]?.get('workload.spiffe.io')).toEqual(['true']);
  });

  it('comes back after a loss, a refusal, and an answer that makes no sense', async () => {
    const ca = nowCa();
    const good = response('spiffe://a.test/x', ca);
    const { api, clock } = await scripted([
      [good, new FinialError('unavailable', 'restarting')],
      [new FinialError('permission-denied', 'no identity issued')],
      [{ svids: [] }],
      [response('spiffe://a.test/x', ca, svid(ca, 'spiffe://a.test/other'))],
      [good],
    ]);
    const { seen, interruptions } = await take(api, clock, 2);
    expect(seen).toHaveLength(2);
    expect(interruptions).toEqual(['unavailable', 'permission-denied', 'unavailable', 'unavailable']);
  });

  it.each(['invalid-argument', 'unimplemented'] as const)('gives up on %s', async (code) => {
    const { api, clock } = await scripted([[new FinialError(code, 'no')]]);
    await expect(take(api, clock, 1)).rejects.toMatchObject({ code });
  });

  it('fetches and validates JWT-SVIDs', async () => {
    const { api } = await scripted([]);
    expect(await api.fetchJwtSvids({ audience: ['me'] })).toEqual([
      { id: 'spiffe://a.test/x', token: 'token for me', hint: 'h' },
    ]);
    expect(await api.validateJwtSvid('good', 'me')).toEqual({ id: 'spiffe://a.test/x' });
    await expect(api.validateJwtSvid('bad', 'me')).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});

/** A source whose updates the test makes. */
async function source(id: string, ca: TestCertificate, others: Record<string, Buffer> = {}) {
  const context = (): X509Context => {
    const leaf = svid(ca, id);
    const own = parseSpiffeId(id);
    const { privateKey } = leaf.key;
    const bundles = new Map(Object.entries(others).map(([name, der]) => [parseTrustDomain(name), [der]]));
    bundles.set(parseTrustDomain(id), [ca.der]);
    return {
      svids: [{ id: own, chain: [leaf.der], privateKey, notBefore: 0, notAfter: Date.now() + HOUR_MS, hint: '' }],
      bundles,
    };
  };
  const updates = subject(context());
  const api = { watchX509: (signal: AbortSignal) => updates.values(signal) } as Pick<
    WorkloadApi,
    'watchX509'
  > as WorkloadApi;
  const made = await createX509Source(api);
  open.push(() => made.close());
  return { source: made, rotate: () => updates.publish(context()) };
}

async function serve(own: Awaited<ReturnType<typeof source>>['source'], authorize = authorizeAny) {
  const peers: string[] = [];
  const refused: string[] = [];
  const server = createMtlsServer(own, {
    authorize,
    onConnection: ({ socket, peerId }) => {
      peers.push(peerId);
      socket.end('hello');
    },
    onRefused: ({ message }) => void refused.push(message),
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(() => void server.close());
  return { port: (server.address() as AddressInfo).port, peers, refused };
}

async function dial(
  own: Awaited<ReturnType<typeof source>>['source'],
  port: number,
  authorize = authorizeAny,
): Promise<string> {
  const { socket, peerId } = await connectMtls(own, { host: '127.0.0.1', port, authorize });
  let text = '';
  for await (const part of socket) text += String(part);
  return `${peerId}: ${text}`;
}

describe('mutual TLS', () => {
  it('connects identities of one and of two trust domains', async () => {
    const [a, b] = [nowCa(), nowCa()];
    const web = await source('spiffe://a.test/web', a, { 'b.test': b.der });
    const { port, peers } = await serve(web.source);
    const near = await source('spiffe://a.test/near', a);
    const far = await source('spiffe://b.test/far', b, { 'a.test': a.der });
    expect(await dial(near.source, port, authorizeId(parseSpiffeId('spiffe://a.test/web')))).toBe(
      'spiffe://a.test/web: hello',
    );
    expect(await dial(far.source, port, authorizeTrustDomain(parseTrustDomain('a.test')))).toBe(
      'spiffe://a.test/web: hello',
    );
    expect(peers).toEqual(['spiffe://a.test/near', 'spiffe://b.test/far']);
  });

  it('refuses whom it does not authorize, on either side', async () => {
    const ca = nowCa();
    const web = await source('spiffe://a.test/web', ca);
    const { port, peers, refused } = await serve(web.source, authorizeId(parseSpiffeId('spiffe://a.test/friend')));
    const friend = await source('spiffe://a.test/friend', ca);
    const stranger = await source('spiffe://a.test/stranger', ca);
    await expect(dial(friend.source, port, authorizeId(parseSpiffeId('spiffe://a.test/bank')))).rejects.toThrow(
      'not authorized',
    );
    await dial(stranger.source, port).catch(() => undefined);
    expect(peers).toEqual([]);
    expect(refused).toContain('peer spiffe://a.test/stranger is not authorized');
  });

  it("refuses a chain of another trust domain's authority, and a client without a certificate", async () => {
    const [a, b] = [nowCa(), nowCa()];
    const web = await source('spiffe://a.test/web', a, { 'b.test': b.der });
    const { port, peers, refused } = await serve(web.source);
    const forger = await source('spiffe://a.test/near', b, { 'a.test': a.der });
    await dial(forger.source, port).catch(() => undefined);
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    socket.on('error', () => undefined);
    await once(socket, 'close');
    expect(peers).toEqual([]);
    expect(refused).toHaveLength(2);
    expect(refused).toContain('peer presented no certificate');
  });

  it('presents the newest identity to new connections and leaves open ones alone', async () => {
    const ca = nowCa();
    const web = await source('spiffe://a.test/web', ca);
    const { port } = await serve(web.source);
    const near = await source('spiffe://a.test/near', ca);
    const serial = async (): Promise<string> => {
      const { socket } = await connectMtls(near.source, { host: '127.0.0.1', port, authorize: authorizeAny });
      const { serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      return serialNumber;
    };
    const before = await serial();
    web.rotate();
    near.rotate();
    expect(await serial()).not.toBe(before);
  });
});

describe('createX509Source', () => {
  it('gives up waiting when told to', async () => {
    const { api } = await scripted([[]]);
    const waiting = createX509Source(api, { signal: AbortSignal.timeout(50) });
    await expect(waiting).rejects.toMatchObject({ code: 'deadline-exceeded' });
  });

  it('never hands out an expired identity', async () => {
    const { source: own } = await source('spiffe://a.test/x', nowCa());
    expect(own.svid.id).toBe('spiffe://a.test/x');
    const late = await createX509Source(
      { watchX509: (signal: AbortSignal) => subject(own.current).values(signal) } as Pick<
        WorkloadApi,
        'watchX509'
      > as WorkloadApi,
      { now: () => Date.now() + 2 * HOUR_MS },
    );
    expect(() => late.svid).toThrow('has expired');
    late.close();
    expect(() => late.current).toThrow('closed');
  });
});
