import { createServer } from 'node:http2';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { FinialError } from '../common/errors.ts';
import { implement, serverStream, unary } from '../common/rpc/service.ts';
import { workloadService } from '../common/rpc/services.ts';
import { toStruct } from '../common/rpc/struct.ts';
import type { X509SVIDResponse } from '../proto/gen/workload/X509SVIDResponse.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';
import { issueCa, issueSvid } from '../test/support/pki.ts';
import { rpcPair } from '../test/support/rpc-pair.ts';
import { workloadApi, type WorkloadApiOptions } from './workload-api.ts';

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

const ca = issueCa();
const other = issueCa();
/** Attempts follow each other fast, so that no test waits. */
const backoff = { initial: 1, factor: 1, max: 1, jitter: 0 };

function response(id: string, more: Partial<X509SVIDResponse> = {}, hint = ''): X509SVIDResponse {
  const leaf = issueSvid(ca, id);
  const x509_svid_key = leaf.key.privateKey.export({ type: 'pkcs8', format: 'der' });
  return { svids: [{ spiffe_id: id, x509_svid: leaf.der, x509_svid_key, bundle: ca.der, hint }], ...more };
}

const good = response('spiffe://a.test/x');

/** A Workload API over a real socket; each FetchX509SVID plays the next part of the script and then keeps silent. */
async function agent(
  parts: readonly (readonly (X509SVIDResponse | FinialError)[])[],
  options: WorkloadApiOptions = {},
) {
  const calls: { readonly method: string; readonly header: readonly string[] | undefined }[] = [];
  const note = (method: string, call: { readonly metadata: ReadonlyMap<string, readonly string[]> }): void =>
    void calls.push({ method, header: call.metadata.get('workload.spiffe.io') });
  const pair = await rpcPair([
    implement(workloadService(), {
      FetchX509SVID: serverStream(async function* (_request, call) {
        note('FetchX509SVID', call);
        for (const step of parts[Math.min(calls.length, parts.length) - 1] ?? []) {
          if (step instanceof FinialError) throw step;
          yield step;
        }
        await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
      }),
      FetchX509Bundles: serverStream(async function* (_request, call) {
        note('FetchX509Bundles', call);
        yield { bundles: { 'spiffe://a.test': ca.der, 'b.test': other.der, 'empty.test': Buffer.alloc(0) } };
      }),
      FetchJWTBundles: serverStream(async function* (_request, call) {
        note('FetchJWTBundles', call);
        yield { bundles: { 'spiffe://a.test': Buffer.from('{"keys":[]}') } };
      }),
      FetchJWTSVID: unary(async (_request, call) => {
        note('FetchJWTSVID', call);
        return { svids: [] };
      }),
      ValidateJWTSVID: unary(async ({ svid: token }, call) => {
        note('ValidateJWTSVID', call);
        if (token === 'slow') await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
        if (token !== 'good') throw new FinialError('invalid-argument', 'token has expired');
        return { spiffe_id: 'spiffe://a.test/x', claims: toStruct({ sub: 'spiffe://a.test/x', aud: ['me'], exp: 7 }) };
      }),
    }),
  ]);
  const api = workloadApi({ address: `unix://${pair.socketPath}`, backoff, ...options });
  open.push(
    () => pair.close(),
    () => api.close(),
  );
  /** Makes the agent reachable at another path. */
  const relay = (socketPath: string): void => {
    const listener = net.createServer((socket) => {
      const target = net.connect(pair.socketPath);
      // Either side may hang up at any time; both are destroyed then.
      pipeline(socket, target, socket, () => undefined);
    });
    listener.listen(socketPath);
    open.push(() => void listener.close());
  };
  return { api, calls, relay };
}

/** The first `count` updates, and the errors before them. */
async function watch(api: ReturnType<typeof workloadApi>, count: number) {
  const ids: string[] = [];
  const errors: string[] = [];
  for await (const { svids } of api.x509.watch({
    onError: ({ code, message }) => void errors.push(`${code}: ${message}`),
  })) {
    ids.push(svids.map(({ id }) => id).join());
    if (ids.length === count) break;
  }
  return { ids, errors };
}

describe('workloadApi', () => {
  it('sends the security header with every call', async () => {
    const { api, calls } = await agent([[good]]);
    await api.x509.fetch();
    await api.x509Bundles.fetch();
    await api.jwtBundles.fetch();
    await expect(api.fetchJwtSvids({ audience: ['a'] })).rejects.toThrow('svids is empty');
    await api.validateJwtSvid('good', 'me');
    expect(calls.map(({ header }) => header)).toEqual([1, 2, 3, 4, 5].map(() => ['true']));
    expect(calls.map(({ method }) => method)).toEqual([
      'FetchX509SVID',
      'FetchX509Bundles',
      'FetchJWTBundles',
      'FetchJWTSVID',
      'ValidateJWTSVID',
    ]);
  });

  it('hands out identities with the bundles of all trust domains, keyed by ID or by name', async () => {
    const { api } = await agent([[response('spiffe://a.test/x', { federated_bundles: { 'b.test': other.der } })]]);
    const { svids, bundles } = await api.x509.fetch();
    expect(svids.map(({ id }) => id)).toEqual(['spiffe://a.test/x']);
    expect(bundles.get(parseTrustDomain('a.test'))).toEqual([ca.der]);
    expect(bundles.get(parseTrustDomain('b.test'))).toEqual([other.der]);
    const all = await api.x509Bundles.fetch();
    expect(Object.fromEntries(all.bundles)).toEqual({ 'a.test': [ca.der], 'b.test': [other.der], 'empty.test': [] });
  });

  it('comes back after a loss and a refusal, and discards what breaks the standard', async () => {
    const foreign = response('spiffe://a.test/other').svids?.[0];
    const { api, calls } = await agent([
      [good, new FinialError('unavailable', 'restarting')],
      [new FinialError('permission-denied', 'no identity issued')],
      [{ svids: [] }, { svids: [{ ...foreign, spiffe_id: 'spiffe://a.test/x' }] }, response('spiffe://a.test/y')],
    ]);
    const { ids, errors } = await watch(api, 2);
    expect(ids).toEqual(['spiffe://a.test/x', 'spiffe://a.test/y']);
    expect(errors).toEqual([
      'unavailable: restarting',
      'permission-denied: no identity issued',
      'data-loss: malformed answer of the Workload API: svids is empty',
      'data-loss: malformed answer of the Workload API: svids[0]: spiffe_id is not the ID of the certificate',
    ]);
    expect(calls).toHaveLength(3);
  });

  it('survives garbage and messages that are too large', async () => {
    const large = response('spiffe://a.test/x', { crl: [Buffer.alloc(2 ** 20)] });
    const { api } = await agent([[large], [good]], { maxReceiveBytes: 2 ** 19 });
    const { ids, errors } = await watch(api, 1);
    expect(ids).toEqual(['spiffe://a.test/x']);
    expect(errors).toEqual([expect.stringMatching(/^resource-exhausted/)]);
  });

  it.each(['invalid-argument', 'unimplemented'] as const)('gives up on %s', async (code) => {
    const { api, calls } = await agent([[new FinialError(code, 'no')]]);
    await expect(watch(api, 1)).rejects.toMatchObject({ code });
    expect(calls).toHaveLength(1);
  });

  it('validates JWT-SVIDs through the agent', async () => {
    const { api } = await agent([]);
    expect(await api.validateJwtSvid('good', 'me')).toEqual({
      id: 'spiffe://a.test/x',
      claims: { sub: 'spiffe://a.test/x', aud: ['me'], exp: 7 },
    });
    await expect(api.validateJwtSvid('bad', 'me')).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(api.validateJwtSvid('good', '')).rejects.toThrow('an audience must be given');
    await expect(api.fetchJwtSvids({ audience: [] })).rejects.toThrow('an audience must be given');
    await expect(api.fetchJwtSvids({ audience: ['a', ''] })).rejects.toThrow('none may be empty');
  });

  it('bounds calls by time and by signal, and ends them when it is closed', async () => {
    const { api } = await agent([[]]);
    await expect(api.x509.fetch({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'deadline-exceeded' });
    const stop = new AbortController();
    const aborted = api.validateJwtSvid('slow', 'me', { signal: stop.signal });
    const closed = api.validateJwtSvid('slow', 'me');
    const watching = watch(api, 1);
    await api.validateJwtSvid('good', 'me');
    stop.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'cancelled' });
    api.close();
    await expect(closed).rejects.toMatchObject({ code: 'cancelled' });
    expect((await watching).ids).toEqual([]);
    await expect(api.x509.fetch()).rejects.toBeInstanceOf(FinialError);
  });

  it('asks for WIT-SVIDs only when opted in', async () => {
    const { api } = await agent([]);
    expect(() => api.witSvids).toThrow('opt in with { wit: true }');
    expect(() => api.witBundles).toThrow('opt in with { wit: true }');
  });

  it('finds an agent that comes later', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'finial-client-'));
    const socketPath = path.join(folder, 'api.sock');
    open.push(() => rmSync(folder, { recursive: true }));
    const api = workloadApi({ address: `unix://${socketPath}`, backoff: { ...backoff, initial: 20, max: 20 } });
    open.push(() => api.close());
    await expect(api.x509.fetch()).rejects.toMatchObject({ code: 'unavailable' });
    const { calls, relay } = await agent([[good]]);
    const errors: string[] = [];
    const onError = ({ code }: FinialError): void => {
      errors.push(code);
      if (errors.length === 2) relay(socketPath);
    };
    for await (const { svids } of api.x509.watch({ onError })) {
      expect(svids[0].id).toBe('spiffe://a.test/x');
      break;
    }
    expect(errors.slice(0, 2)).toEqual(['unavailable', 'unavailable']);
    expect(calls).toHaveLength(1);
  });

  it('speaks to an agent over TCP, and hears broken protobuf as an interruption', async () => {
    // Not gRPC's own server, as that would refuse to send what is broken.
    const server = createServer((request, reply) => {
      reply.writeHead(200, { 'content-type': 'application/grpc' });
      reply.addTrailers({ 'grpc-status': '0' });
      reply.end(Buffer.from([0, 0, 0, 0, 3, 0x0a, 0x7f, 0x01]));
      request.resume();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push(() => void server.close());
    const { port } = server.address() as net.AddressInfo;
    const api = workloadApi({ address: `tcp://127.0.0.1:${port}`, backoff });
    open.push(() => api.close());
    const stop = new AbortController();
    const errors: string[] = [];
    const onError = ({ code }: FinialError): void => {
      errors.push(code);
      if (errors.length === 3) stop.abort();
    };
    for await (const _ of api.x509.watch({ signal: stop.signal, onError }))
      expect.fail('no update can be made of this');
    expect(errors).toEqual(['internal', 'internal', 'internal']);
  });
});
