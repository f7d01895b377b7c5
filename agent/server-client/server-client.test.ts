import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { FinialError } from '../../common/errors.ts';
import { silentLogger } from '../../common/log/logger.ts';
import { listenTls } from '../../common/net/tls-listener.ts';
import { subject } from '../../common/observable.ts';
import type { Call, PeerCertificate } from '../../common/rpc/call.ts';
import { createRpcServer } from '../../common/rpc/server.ts';
import { implement, serverStream, unary } from '../../common/rpc/service.ts';
import { keysInProcess } from '../../common/keys-in-process.ts';
import { agentService, bundleService, changesService, svidService } from '../../common/rpc/services.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate, spiffeIdOf } from '../../spiffe/x509/certificate.ts';
import { issueCa, issueSvid, type TestCertificate } from '../../test/support/pki.ts';
import type { AgentIdentity, ServerClient } from './contract.ts';
import { serverClient } from './server-client.ts';

const trustDomain = parseTrustDomain('example.org');
const now = Date.now();
const current = { notBefore: now - 60_000, notAfter: now + 3_600_000 };
const ca = issueCa(undefined, current);
const AGENT = 'spiffe://example.org/spire/agent/x';
const signal = new AbortController().signal;

/** What the server saw and is to do. */
const state = {
  callers: [] as string[],
  connections: 0,
  /** Whether new connections are served by one that gives hints. */
  hints: false,
  known: new Set<string>(),
  refuse: undefined as FinialError | undefined,
  jwt: { token: 'a.b.c', issued_at: '1', expires_at: '2' },
  watched: [] as string[],
  unwatched: [] as string[],
};

function certificateOf(call: Call): PeerCertificate | undefined {
  return call.peer.transport === 'tcp' ? call.peer.certificate : undefined;
}

const services = [
  implement(bundleService(), {
    GetBundle: unary(async (_request, call) => {
      state.callers.push(certificateOf(call)?.serialNumber ?? 'nobody');
      if (state.refuse !== undefined) throw state.refuse;
      return { trust_domain: 'example.org', x509_authorities: [{ asn1: ca.der }] };
    }),
    GetFederatedBundle: unary(async ({ trust_domain: name }) => {
      if (!state.known.has(name)) throw new FinialError('not-found', 'bundle not found');
      return { trust_domain: name, x509_authorities: [{ asn1: ca.der }] };
    }),
  }),
  implement(svidService(), {
    BatchNewX509SVID: unary(async ({ params }) => ({
      results: params.map(({ entry_id: id, csr }) =>
        id === 'bad'
          ? { status: { code: 5, message: 'no such entry' } }
          : { svid: { cert_chain: [csr] }, status: { code: 0 } },
      ),
    })),
    NewJWTSVID: unary(async () => ({ svid: { ...state.jwt, id: { trust_domain: 'example.org', path: '/w' } } })),
  }),
  implement(agentService(), {
    RenewAgent: unary(async ({ params }) => ({ svid: { cert_chain: [params?.csr ?? Buffer.alloc(0)] } })),
    PostStatus: unary(async () => ({})),
  }),
];

/** Hints once, and then knows of nothing that changed. */
const hinting = implement(changesService(), {
  Watch: serverStream(async function* (_request, call) {
    const serial = certificateOf(call)?.serialNumber ?? 'nobody';
    state.watched.push(serial);
    try {
      yield {};
      await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve(), { once: true }));
    } finally {
      state.unwatched.push(serial);
    }
  }),
});

async function identityFrom(issuer: TestCertificate): Promise<AgentIdentity> {
  const leaf = issueSvid(issuer, AGENT, current);
  const key = await keysInProcess().generateKey('agent-svid-A', 'ec-p256');
  const certificate = parseCertificate(leaf.der);
  const { notBefore, notAfter } = certificate;
  const { privateKey } = leaf.key;
  return { id: spiffeIdOf(certificate), chain: [leaf.der], key, privateKey, notBefore, notAfter, reattestable: false };
}

describe('the server as an attested agent sees it', () => {
  const server = createRpcServer({ services, interceptors: [], log: silentLogger });
  const hintingServer = createRpcServer({ services: [...services, hinting], interceptors: [], log: silentLogger });
  const leaf = issueSvid(ca, 'spiffe://example.org/spire/server', current);
  let listener: Awaited<ReturnType<typeof listenTls>>;
  let client: ServerClient;
  let identity: AgentIdentity;

  beforeAll(async () => {
    listener = await listenTls({
      host: '127.0.0.1',
      port: 0,
      identity: subject({ chain: [leaf.der], privateKey: leaf.key.privateKey }),
      verifyPeer: (chain) => {
        const certificate = parseCertificate(chain[0] ?? Buffer.alloc(0));
        const serialNumber = String(certificate.serialNumber);
        return { id: spiffeIdOf(certificate), chain, serialNumber, notAfter: certificate.notAfter };
      },
      onSocket: (socket, peer) => {
        state.connections += 1;
        (state.hints ? hintingServer : server).accept(socket, peer);
      },
      log: silentLogger,
    });
    identity = await identityFrom(ca);
    client = serverClient({
      target: { address: `127.0.0.1:${listener.port}`, trustDomain },
      identity: () => identity,
      roots: () => [ca.der],
      log: silentLogger,
    });
  });
  afterAll(async () => {
    await client.close();
    await Promise.all([server.stop(0), hintingServer.stop(0)]);
    await listener.close();
  });
  beforeEach(() => {
    client.reconnect();
    Object.assign(state, { callers: [], connections: 0, refuse: undefined, hints: false });
  });

  const serialOf = (one: AgentIdentity): string =>
    String(parseCertificate(one.chain[0] ?? Buffer.alloc(0)).serialNumber);

  it('is shown the certificate of the agent, over one connection for all calls', async () => {
    await Promise.all([client.bundle(signal), client.bundle(signal), client.postStatus('1', signal)]);
    await client.bundle(signal);
    expect(state.callers).toEqual([serialOf(identity), serialOf(identity), serialOf(identity)]);
    expect(state.connections).toBe(1);
  });

  it('is shown the new certificate after a rotation', async () => {
    await client.bundle(signal);
    identity = await identityFrom(ca);
    client.reconnect();
    await client.bundle(signal);
    expect(state.callers[1]).toBe(serialOf(identity));
    expect(state.callers[0]).not.toBe(state.callers[1]);
  });

  it('loses no bundle because the server does not have another one', async () => {
    state.known = new Set(['b.org', 'd.org', 'f.org']);
    const names = ['a.org', 'b.org', 'c.org', 'd.org', 'e.org', 'f.org', 'g.org'].map((name) => parseTrustDomain(name));
    for (let round = 0; round < 5; round += 1) {
      const bundles = await Promise.all(names.map((name) => client.federatedBundle(name, signal)));
      expect(bundles.map((bundle) => bundle?.trustDomain ?? '-')).toEqual([
        '-',
        'b.org',
        '-',
        'd.org',
        '-',
        'f.org',
        '-',
      ]);
    }
  });

  it('keeps its words and the reason of a refusal', async () => {
    state.refuse = new FinialError('permission-denied', 'agent is banned', { denial: 'agent-banned' });
    await expect(client.bundle(signal)).rejects.toMatchObject({
      code: 'permission-denied',
      denial: 'agent-banned',
      message: 'agent is banned',
    });
    state.refuse = undefined;
    expect((await client.bundle(signal)).trustDomain).toBe('example.org');
  });

  it('may leave out single entries of a batch', async () => {
    const csr = Buffer.from('csr');
    const requests = ['a', 'bad', 'b'].map((entryId) => ({ entryId, csr }));
    expect([...(await client.signX509Svids(requests, signal)).keys()]).toEqual(['a', 'b']);
  });

  it('is not believed when it sends a token with an impossible lifetime', async () => {
    expect(await client.signJwtSvid('a', ['x'], signal)).toEqual({
      id: 'spiffe://example.org/w',
      token: 'a.b.c',
      issuedAt: 1,
      expiresAt: 2,
    });
    for (const jwt of [{ issued_at: '0' }, { expires_at: '0' }, { issued_at: '3' }, { token: '' }]) {
      const before = state.jwt;
      state.jwt = { ...before, ...jwt };
      await expect(client.signJwtSvid('a', ['x'], signal)).rejects.toMatchObject({ code: 'internal' });
      state.jwt = before;
    }
  });

  it('renews the agent, which is then not to attest again by itself', async () => {
    const renewed = await client.renewAgent(Buffer.from('csr'), signal);
    expect(renewed).toEqual({ chain: [Buffer.from('csr')], reattestable: false });
  });

  it('says that it knows no hints when it does not, and is no worse for being asked', async () => {
    const first = client.hints(signal)[Symbol.asyncIterator]().next();
    await expect(first).rejects.toMatchObject({ code: 'unimplemented' });
    await client.bundle(signal);
    expect(state.connections).toBe(1);
  });

  it('hears no more of a stream of hints that was opened under an identity or a bundle of before', async () => {
    state.hints = true;
    const hints = client.hints(signal)[Symbol.asyncIterator]();
    expect((await hints.next()).done).toBe(false);
    const before = serialOf(identity);
    expect(state.watched).toEqual([before]);
    identity = await identityFrom(ca);
    client.reconnect();
    // Ends as it does at the server's wish: another is to be opened at once.
    expect((await hints.next()).done).toBe(true);
    const anew = client.hints(signal)[Symbol.asyncIterator]();
    expect((await anew.next()).done).toBe(false);
    expect(state.watched).toEqual([before, serialOf(identity)]);
    await expect.poll(() => state.unwatched).toEqual([before]);
    await anew.return?.();
    await expect.poll(() => state.unwatched).toEqual([before, serialOf(identity)]);
  });

  it('gives up a stream that lasts longer than the server lets any last', async () => {
    state.hints = true;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: Date.now() });
    try {
      const hints = client.hints(signal)[Symbol.asyncIterator]();
      await hints.next();
      const end = hints.next().catch((error: unknown) => error);
      await vi.advanceTimersByTimeAsync(5 * 60_000 + 1000);
      expect(await end).toMatchObject({ code: 'deadline-exceeded' });
    } finally {
      vi.useRealTimers();
    }
  });

  it('gives no more hints to a caller that gave up, and says why', async () => {
    state.hints = true;
    const stop = new AbortController();
    const hints = client.hints(stop.signal)[Symbol.asyncIterator]();
    await hints.next();
    stop.abort();
    await expect(hints.next()).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('is left alone when the caller gives up', async () => {
    await expect(client.bundle(AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
  });
});
