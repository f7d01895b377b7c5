import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { certificatesToPem } from '../../spiffe/x509/pem.ts';
import { testName, type TestCertificate } from '../../test/support/pki.ts';
import { testSource, type TestSource, today, todaysCa } from '../../test/support/tls-source.ts';
import { type Authorize, authorizeAny, authorizeId, authorizeTrustDomain } from '../authorize.ts';
import { type ConnectOptions, connectTls } from './connect.ts';
import { peerIdOf, peerOf } from './peer.ts';
import { createTlsServer, type TlsServerOptions } from './server.ts';

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0).toReversed()) close();
});

interface Served {
  readonly port: number;
  readonly server: tls.Server;
  readonly peers: string[];
  readonly refused: string[];
  /** Whatever the application on the server's side got to read. */
  readonly read: string[];
  /** Resolves when so many clients were turned away. */
  readonly turnedAway: (count: number) => Promise<void>;
}

async function serve(source: TestSource, options: Partial<TlsServerOptions> = {}): Promise<Served> {
  const served = { peers: [] as string[], refused: [] as string[], read: [] as string[] };
  let wake = (): void => undefined;
  const server = createTlsServer(
    source,
    {
      authorize: authorizeAny,
      onRefused: ({ message }) => {
        served.refused.push(message);
        wake();
      },
      ...options,
    },
    (socket) => {
      served.peers.push(options.clientAuthentication === 'none' ? 'nobody' : peerIdOf(socket));
      socket.on('data', (part) => void served.read.push(String(part)));
      socket.write('hello');
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => sockets.add(socket));
  open.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const turnedAway = async (count: number): Promise<void> => {
    while (served.refused.length < count) await new Promise<void>((resolve) => (wake = resolve));
  };
  return { ...served, server, port: (server.address() as AddressInfo).port, turnedAway };
}

async function dial(
  source: TestSource,
  port: number,
  authorize: Authorize = authorizeAny,
  more: Partial<ConnectOptions> = {},
): Promise<string> {
  const { socket, peerId } = await connectTls(source, { host: '127.0.0.1', port, authorize, ...more });
  try {
    const [greeting] = (await once(socket, 'data')) as [Buffer];
    return `${peerId}: ${String(greeting)}`;
  } finally {
    socket.destroy();
  }
}

/** What our client says of a server that presents this chain. */
async function judge(client: TestSource, chain: readonly TestCertificate[]): Promise<string> {
  const [leaf] = chain;
  if (leaf === undefined) throw new Error('a chain has a leaf');
  const server = tls.createServer(
    {
      cert: certificatesToPem(chain.map(({ der }) => der)),
      key: leaf.key.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    },
    (socket) => socket.end('hello'),
  );
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => server.close());
  return dial(client, (server.address() as AddressInfo).port).then(
    () => 'ok',
    ({ code, message }: { code: string; message: string }) => `${code}: ${message}`,
  );
}

describe('mutual TLS', () => {
  it('connects identities of one and of two trust domains, and tells each who the other is', async () => {
    const [a, b] = [todaysCa(), todaysCa()];
    const { port, peers } = await serve(testSource('spiffe://a.test/web', a, { 'b.test': b }));
    const near = testSource('spiffe://a.test/near', a);
    const far = testSource('spiffe://b.test/far', b, { 'a.test': a });
    expect(await dial(near, port, authorizeId('spiffe://a.test/web'))).toBe('spiffe://a.test/web: hello');
    expect(await dial(far, port, authorizeTrustDomain('a.test'))).toBe('spiffe://a.test/web: hello');
    expect(peers).toEqual(['spiffe://a.test/near', 'spiffe://b.test/far']);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('speaks %s, and hands out no session to resume', async (version) => {
    const ca = todaysCa();
    const near = testSource('spiffe://a.test/near', ca);
    const { port } = await serve(testSource('spiffe://a.test/web', ca));
    const { chain, privateKey } = near.svid;
    const connect = async (session?: Buffer) => {
      const socket = tls.connect({
        ...{ host: '127.0.0.1', port, ca: certificatesToPem([ca.der]), checkServerIdentity: () => undefined },
        ...{ cert: certificatesToPem(chain), key: privateKey.export({ type: 'pkcs8', format: 'pem' }) },
        ...{ maxVersion: version, minVersion: version, ...(session === undefined ? {} : { session }) },
      });
      const sessions: Buffer[] = [];
      socket.on('session', (one) => sessions.push(one));
      await once(socket, 'data');
      open.push(() => socket.destroy());
      return { sessions, reused: socket.isSessionReused(), session: socket.getSession() };
    };
    const first = await connect();
    expect(first.reused).toBe(false);
    expect((await connect(first.session ?? first.sessions[0])).reused).toBe(false);
  });

  it('refuses whom it does not authorize, on either side, and reads nothing of theirs', async () => {
    const ca = todaysCa();
    const options = { authorize: authorizeId('spiffe://a.test/friend') };
    const { port, peers, refused, read, turnedAway } = await serve(testSource('spiffe://a.test/web', ca), options);
    const friend = testSource('spiffe://a.test/friend', ca);
    await expect(dial(friend, port, authorizeId('spiffe://a.test/bank'))).rejects.toMatchObject({
      code: 'permission-denied',
      message: 'peer spiffe://a.test/web is not authorized',
    });
    const stranger = testSource('spiffe://a.test/stranger', ca);
    const { socket } = await connectTls(stranger, { host: '127.0.0.1', port, authorize: authorizeAny });
    socket.on('error', () => undefined);
    socket.write('let me in');
    await turnedAway(2);
    expect(refused).toContain('peer spiffe://a.test/stranger is not authorized');
    expect([peers, read]).toEqual([[], []]);
  });

  it('sends nothing before the server was judged', async () => {
    const ca = todaysCa();
    const received: string[] = [];
    const source = testSource('spiffe://a.test/web', ca);
    const { server, port } = await serve(source);
    server.on('secureConnection', (socket: tls.TLSSocket) => socket.on('data', (part) => received.push(String(part))));
    const near = testSource('spiffe://a.test/near', ca);
    await expect(dial(near, port, authorizeId('spiffe://a.test/other'))).rejects.toThrow('not authorized');
    expect(received).toEqual([]);
  });

  it("refuses a chain of another trust domain's authority in both directions, though both are known", async () => {
    const [a, b] = [todaysCa(), todaysCa()];
    const { port, peers, turnedAway, refused } = await serve(testSource('spiffe://a.test/web', a, { 'b.test': b }));
    const forger = testSource('spiffe://a.test/near', b, {});
    forger.setBundle('a.test', a, b);
    const { socket } = await connectTls(forger, { host: '127.0.0.1', port, authorize: authorizeAny });
    socket.on('error', () => undefined);
    await turnedAway(1);
    expect(refused[0]).toContain('certificate signed by unknown authority');
    const liar = await serve(forger);
    const near = testSource('spiffe://a.test/near', a, { 'b.test': b });
    await expect(dial(near, liar.port)).rejects.toMatchObject({
      code: 'unauthenticated',
      message: expect.stringContaining('certificate signed by unknown authority'),
    });
    expect(peers).toEqual([]);
  });

  it('refuses a client without a certificate', async () => {
    const { port, peers, refused, turnedAway } = await serve(testSource('spiffe://a.test/web', todaysCa()));
    const socket = tls.connect({ host: '127.0.0.1', port, checkServerIdentity: () => undefined, ca: [] });
    await expect(once(socket, 'secureConnect')).rejects.toThrow('unable to verify');
    const anonymous = testSource('spiffe://a.test/x', todaysCa());
    anonymous.setBundle('a.test', todaysCa());
    await expect(dial(anonymous, port)).rejects.toMatchObject({ code: 'unauthenticated' });
    await turnedAway(1);
    expect(peers).toEqual([]);
    expect(refused.length).toBeGreaterThan(0);
  });

  it('never falls back to public authorities when it trusts nobody', async () => {
    const ca = todaysCa();
    const trusting = testSource('spiffe://a.test/x', ca);
    trusting.setBundle('a.test');
    const leaf = testSource('spiffe://a.test/web', ca);
    const { port } = await serve(leaf);
    await expect(dial(trusting, port)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('judges what servers present', async () => {
    const ca = todaysCa();
    const client = testSource('spiffe://a.test/x', ca);
    const leaf = (spec = {}) => todaysCa(ca, { ca: false, names: [[6, 'spiffe://a.test/web']], ...spec });
    const intermediate = todaysCa(ca);
    const below = todaysCa(intermediate, { ca: false, names: [[6, 'spiffe://a.test/web']] });
    expect(await judge(client, [leaf()])).toBe('ok');
    expect(await judge(client, [below, intermediate])).toBe('ok');
    expect(await judge(client, [below])).toContain('unauthenticated');
    expect(await judge(client, [leaf({ notAfter: Date.now() - 1000 })])).toContain('unauthenticated');
    expect(await judge(client, [leaf({ names: [[2, 'localhost']] })])).toContain('no URI SAN');
    expect(
      await judge(client, [
        leaf({
          names: [
            [6, 'spiffe://a.test/web'],
            [6, 'https://x.test'],
          ],
        }),
      ]),
    ).toContain('more than one URI SAN');
    expect(await judge(client, [leaf({ names: [[6, 'spiffe://a.test']] })])).toContain('unauthenticated');
    expect(await judge(client, [todaysCa(ca, { names: [[6, 'spiffe://a.test/web']] })])).toContain('unauthenticated');
    expect(await judge(client, [leaf({ names: [[6, 'spiffe://other.test/web']] })])).toContain('other.test');
  });

  it('settles roots of one name without key identifiers, old and new, in any order', async () => {
    const twin = { subject: testName('one name'), subjectKeyId: undefined };
    const [old, young] = [todaysCa(undefined, twin), todaysCa(undefined, twin)];
    const expired = todaysCa(undefined, { ...twin, notAfter: Date.now() - 1000 });
    const web = testSource('spiffe://a.test/web', young);
    const { port } = await serve(web);
    for (const roots of [
      [old, young],
      [young, old],
      [expired, old, young],
    ]) {
      const near = testSource('spiffe://a.test/near', old);
      near.setBundle('a.test', ...roots);
      web.setBundle('a.test', ...roots);
      expect(await dial(near, port)).toBe('spiffe://a.test/web: hello');
    }
    // Of two trust domains as well, where the authorizer does not say which one is meant.
    const far = testSource('spiffe://b.test/far', old, {});
    far.setBundle('a.test', young);
    web.setBundle('b.test', old);
    expect(await dial(far, port)).toBe('spiffe://a.test/web: hello');
  });

  it('presents the newest identity to new connections, leaves open ones alone, and follows a change of authority', async () => {
    const [first, second] = [todaysCa(), todaysCa()];
    const web = testSource('spiffe://a.test/web', first);
    const near = testSource('spiffe://a.test/near', first);
    const { port } = await serve(web);
    const { socket } = await connectTls(near, { host: '127.0.0.1', port, authorize: authorizeAny });
    open.push(() => socket.destroy());
    const before = peerOf(socket).chain[0];
    for (const one of [web, near]) one.setBundle('a.test', first, second);
    for (const one of [web, near]) one.rotate(second);
    expect(await dial(near, port)).toBe('spiffe://a.test/web: hello');
    for (const one of [web, near]) one.setBundle('a.test', second);
    expect(await dial(near, port)).toBe('spiffe://a.test/web: hello');
    expect(peerOf(socket).chain[0]).toBe(before);
    socket.write('still here');
    expect(socket.destroyed).toBe(false);
  });

  it('begins no handshake without a valid identity, and recovers with the next one', async () => {
    const ca = todaysCa();
    const web = testSource('spiffe://a.test/web', ca);
    const near = testSource('spiffe://a.test/near', ca);
    const { port, refused } = await serve(web);
    web.revoke();
    await expect(dial(near, port)).rejects.toMatchObject({ code: 'unavailable' });
    expect(refused).toEqual(['no identity issued']);
    web.rotate();
    expect(await dial(near, port)).toBe('spiffe://a.test/web: hello');
    near.revoke();
    await expect(dial(near, port)).rejects.toThrow('no identity issued');
  });

  it('loses no handshake while both sides rotate', async () => {
    const ca = todaysCa();
    const web = testSource('spiffe://a.test/web', ca);
    const near = testSource('spiffe://a.test/near', ca);
    const { port, refused, server } = await serve(web);
    for (let round = 0; round < 25; round += 1) {
      const dials = [1, 2, 3, 4].map(() => dial(near, port));
      web.rotate();
      near.rotate();
      expect(await Promise.all(dials)).toEqual(dials.map(() => 'spiffe://a.test/web: hello'));
    }
    expect(refused).toEqual([]);
    expect(server.listenerCount('secureConnection')).toBe(1);
  });

  it('bounds attempts by time and by signal, and survives those who are no TLS clients', async () => {
    const silent = net.createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    open.push(() => silent.close());
    const { port } = silent.address() as AddressInfo;
    const near = testSource('spiffe://a.test/near', todaysCa());
    await expect(dial(near, port, authorizeAny, { timeoutMs: 30 })).rejects.toMatchObject({
      code: 'deadline-exceeded',
    });
    const stop = new AbortController();
    const dialling = dial(near, port, authorizeAny, { signal: stop.signal });
    stop.abort();
    await expect(dialling).rejects.toMatchObject({ code: 'cancelled' });

    const {
      port: served,
      refused,
      turnedAway,
    } = await serve(testSource('spiffe://a.test/web', todaysCa()), {
      handshakeTimeoutMs: 50,
    });
    const garbage = net.connect(served, '127.0.0.1');
    garbage.on('error', () => undefined).write('GET / HTTP/1.1\r\n\r\n');
    const mute = net.connect(served, '127.0.0.1');
    mute.on('error', () => undefined);
    await turnedAway(2);
    expect(refused).toHaveLength(2);
  });

  it('serves nameless clients where it is told to, and presents another certificate where it has one', async () => {
    const ca = todaysCa();
    const web = testSource('spiffe://a.test/web', ca);
    const { port, peers } = await serve(web, { clientAuthentication: 'none' });
    const near = testSource('spiffe://a.test/near', ca);
    expect(await dial(near, port, authorizeAny, { present: 'none' })).toBe('spiffe://a.test/web: hello');
    expect(peers).toEqual(['nobody']);

    const publicCa = todaysCa();
    const host = todaysCa(publicCa, { ca: false, names: [[2, 'shop.test']] });
    const certificate = {
      cert: certificatesToPem([host.der]),
      key: host.key.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    };
    const shop = await serve(web, { certificate: () => certificate });
    const { cert, key } = {
      cert: certificatesToPem(near.svid.chain),
      key: near.svid.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    };
    const socket = tls.connect({
      ...{
        host: '127.0.0.1',
        port: shop.port,
        servername: 'shop.test',
        ca: certificatesToPem([publicCa.der]),
        cert,
        key,
      },
    });
    await once(socket, 'data');
    socket.destroy();
    expect(shop.peers).toEqual(['spiffe://a.test/near']);
  });

  it('admits nobody when its options are used without the guard', async () => {
    const { tlsServerOptions } = await import('./server.ts');
    const ca = todaysCa();
    const web = testSource('spiffe://a.test/web', ca);
    const admitted: unknown[] = [];
    const server = tls.createServer(tlsServerOptions(web, { authorize: authorizeAny }), (socket) =>
      admitted.push(socket),
    );
    const refused = once(server, 'tlsClientError');
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push(() => server.close());
    const near = testSource('spiffe://a.test/near', ca, {}, today);
    dial(near, (server.address() as AddressInfo).port).catch(() => undefined);
    await refused;
    expect(admitted).toEqual([]);
  });
});
