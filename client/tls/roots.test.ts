import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { describe, expect, it } from 'vitest';
import { foreignServer, listening } from '../../test/support/loopback.ts';
import { issueSvid, testName, type TestCertificate, type TestSpec } from '../../test/support/pki.ts';
import { testSource, type TestSource, today, todaysCa } from '../../test/support/tls-source.ts';
import { type Authorize, authorizeAny, authorizeId, authorizeTrustDomain } from '../authorize.ts';
import { connectTls, tlsClientOptions } from './connect.ts';
import { createTlsServer } from './server.ts';

const WEB = 'spiffe://a.test/web';
/** What SPIRE calls its authorities, in every trust domain. */
const name = testName('SPIFFE');
const anonymous = { subject: name, subjectKeyId: undefined };

function leafOf(issuer: TestCertificate, id = WEB, spec: TestSpec = {}): TestCertificate {
  return issueSvid(issuer, id, { ...today, ...spec });
}

function clientWith(bundles: Readonly<Record<string, readonly TestCertificate[]>>): TestSource {
  const source = testSource('spiffe://client.test/x', todaysCa());
  for (const [trustDomain, roots] of Object.entries(bundles)) source.setBundle(trustDomain, ...roots);
  return source;
}

async function dial(source: TestSource, port: number, authorize: Authorize = authorizeAny): Promise<string> {
  try {
    const { socket, peerId } = await connectTls(source, { host: '127.0.0.1', port, authorize });
    socket.destroy();
    return peerId;
  } catch (error) {
    return (error as Error).message;
  }
}

describe('roots that OpenSSL cannot tell apart', () => {
  it.each([
    { what: 'neither have key identifiers', root: anonymous, leaf: {} },
    {
      what: 'have key identifiers, which the leaf does not name',
      root: { subject: name },
      leaf: { authorityKeyId: undefined },
    },
  ])('finds the right one of seven of one name that $what', async ({ root, leaf }) => {
    const roots = Array.from({ length: 7 }, () => todaysCa(undefined, root));
    for (const right of roots) {
      const { port } = await foreignServer([leafOf(right, WEB, leaf)]);
      expect(await dial(clientWith({ 'a.test': roots }), port)).toBe(WEB);
    }
  });

  it('learns from the first connection, so that others need one handshake each', async () => {
    const roots = [todaysCa(undefined, anonymous), todaysCa(undefined, anonymous)];
    const client = clientWith({ 'a.test': roots });
    const counts: number[] = [];
    for (const right of roots) {
      const { port, connections } = await foreignServer([leafOf(right)]);
      for (const _ of roots) expect(await dial(client, port)).toBe(WEB);
      counts.push(connections());
    }
    // One of both is what OpenSSL takes first; after the switch to the other one, one more is needed.
    expect(counts.toSorted((one, other) => one - other)).toEqual([2, 3]);
  });

  it('lets options for other libraries profit from what was learnt', async () => {
    const roots = [todaysCa(undefined, anonymous), todaysCa(undefined, anonymous)];
    const client = clientWith({ 'a.test': roots });
    for (const right of roots) {
      const { port } = await foreignServer([leafOf(right)]);
      expect(await dial(client, port)).toBe(WEB);
      const socket = tls.connect({ host: '127.0.0.1', port, ...tlsClientOptions(client, { authorize: authorizeAny }) });
      await once(socket, 'secureConnect');
      socket.destroy();
    }
  });

  it('knows better the second time where a connection is given to it, as by gRPC', async () => {
    const roots = [todaysCa(undefined, anonymous), todaysCa(undefined, anonymous)];
    const client = clientWith({ 'a.test': roots });
    for (const right of roots) {
      const { port } = await foreignServer([leafOf(right)]);
      const connect = async (): Promise<string> => {
        const given = net.connect(port, '127.0.0.1');
        const { socket, peerId } = await connectTls(client, { socket: given, authorize: authorizeAny });
        socket.destroy();
        return peerId;
      };
      await connect().catch((error: unknown) => {
        expect(error).toMatchObject({ message: 'TLS connection failed: certificate signature failure' });
      });
      expect(await connect()).toBe(WEB);
    }
  });

  it('finds the right one of two trust domains, by the authorizer or by the chain', async () => {
    const [a, b] = [todaysCa(undefined, anonymous), todaysCa(undefined, anonymous)];
    const ids = ['spiffe://a.test/web', 'spiffe://b.test/web'];
    for (const [index, ca] of [a, b].entries()) {
      const id = ids[index] ?? '';
      const { port, connections } = await foreignServer([leafOf(ca, id)]);
      expect(await dial(clientWith({ 'a.test': [a], 'b.test': [b] }), port, authorizeId(id))).toBe(id);
      expect(connections()).toBe(1);
      expect(await dial(clientWith({ 'a.test': [a], 'b.test': [b] }), port)).toBe(id);
      expect(await dial(clientWith({ 'b.test': [b], 'a.test': [a] }), port)).toBe(id);
    }
  });

  it('never believes the wrong domain because of it', async () => {
    const [a, b] = [todaysCa(undefined, anonymous), todaysCa(undefined, anonymous)];
    const { port, connections } = await foreignServer([leafOf(b, WEB)]);
    const both = clientWith({ 'a.test': [a], 'b.test': [b] });
    expect(await dial(both, port)).toContain('certificate signed by unknown authority');
    expect(await dial(both, port, authorizeTrustDomain('b.test'))).toContain('certificate signed by unknown authority');
    // A server that is refused by our own judgement is not asked again.
    expect(connections()).toBe(2);
  });

  it('goes by the good one beside an expired one, in any order', async () => {
    for (const spec of [anonymous, { subject: name }]) {
      const good = todaysCa(undefined, spec);
      const expired = todaysCa(undefined, { ...spec, notAfter: Date.now() - 1000 });
      const { port } = await foreignServer([leafOf(good)]);
      for (const roots of [
        [good, expired],
        [expired, good],
      ]) {
        expect(await dial(clientWith({ 'a.test': roots }), port)).toBe(WEB);
      }
      const { port: stale } = await foreignServer([leafOf(expired)]);
      expect(await dial(clientWith({ 'a.test': [expired, good] }), stale)).toContain('expired');
    }
  });

  it('accepts a root that is known only as signed by another', async () => {
    const [old, young] = [todaysCa(), todaysCa()];
    const crossed = todaysCa(old, { key: young.key, subject: young.subject, subjectKeyId: young.subjectKeyId });
    const leaf = leafOf(young);
    for (const [roots, sent] of [
      [[old], [leaf, crossed]],
      [[young], [leaf, crossed]],
      [[crossed], [leaf]],
      [
        [old, young],
        [leaf, crossed],
      ],
    ] as const) {
      const { port } = await foreignServer(sent);
      expect(await dial(clientWith({ 'a.test': roots }), port)).toBe(WEB);
    }
    const { port } = await foreignServer([leaf]);
    expect(await dial(clientWith({ 'a.test': [old] }), port)).toContain('unknown authority');
  });

  it('is not put off by an authority that cannot be read', async () => {
    const ca = todaysCa();
    const { port } = await foreignServer([leafOf(ca)]);
    const odd = { ...ca, der: Buffer.from('3003020101', 'hex') };
    expect(await dial(clientWith({ 'a.test': [odd, ca] }), port)).toBe(WEB);
    expect(await dial(clientWith({ 'a.test': [ca], 'b.test': [odd] }), port)).toBe(WEB);
  });

  it('follows a withdrawal of what it had learnt', async () => {
    const [first, second] = [todaysCa(undefined, anonymous), todaysCa(undefined, anonymous)];
    const client = clientWith({ 'a.test': [first, second] });
    const { port: old } = await foreignServer([leafOf(first)]);
    const { port: young, connections } = await foreignServer([leafOf(second)]);
    for (const port of [old, young, old]) expect(await dial(client, port)).toBe(WEB);
    client.setBundle('a.test', second);
    const before = connections();
    expect(await dial(client, young)).toBe(WEB);
    expect(connections() - before).toBe(1);
    expect(await dial(client, old)).toContain('unknown authority');
  });
});

describe('nobody to trust', () => {
  it('is no reason to fall back to the authorities that Node comes with', async () => {
    const ca = todaysCa();
    const { port, connections } = await foreignServer([leafOf(ca)]);
    for (const client of [clientWith({ 'a.test': [] }), clientWith({})]) {
      const only = authorizeTrustDomain('a.test');
      expect(await dial(client, port, only)).toBe('no X.509 bundle of an acceptable trust domain is held');
      const options = tlsClientOptions(client, { authorize: only });
      expect(() => tls.connect({ host: '127.0.0.1', port, ...options })).toThrow('no X.509 bundle');
    }
    expect(connections()).toBe(0);
  });
});

describe('what a server presents', () => {
  it('is judged the same in both directions across trust domains', async () => {
    const [a, b] = [todaysCa(), todaysCa()];
    const client = clientWith({ 'a.test': [a], 'b.test': [b] });
    for (const [ca, id] of [
      [b, 'spiffe://a.test/web'],
      [a, 'spiffe://b.test/web'],
    ] as const) {
      const { port } = await foreignServer([leafOf(ca, id)]);
      expect(await dial(client, port)).toContain('certificate signed by unknown authority');
      const refused: string[] = [];
      const server = testSource('spiffe://a.test/server', a, { 'b.test': b });
      const admitted: unknown[] = [];
      const options = { authorize: authorizeAny, onRefused: ({ message }: Error) => void refused.push(message) };
      const served = createTlsServer(server, options, (socket) => admitted.push(socket));
      const forger = testSource(id, ca);
      forger.setBundle('a.test', a);
      const { socket } = await connectTls(forger, {
        host: '127.0.0.1',
        port: await listening(served),
        authorize: authorizeAny,
      });
      await new Promise((resolve) => socket.once('close', resolve).resume());
      expect([refused.length, admitted.length]).toEqual([1, 0]);
      expect(refused[0]).toContain('certificate signed by unknown authority');
    }
  });

  it('must be fit for a server where it says what it is fit for, as OpenSSL has it', async () => {
    const ca = todaysCa();
    const client = clientWith({ 'a.test': [ca] });
    const clientAuth = '1.3.6.1.5.5.7.3.2';
    const { port } = await foreignServer([leafOf(ca, WEB, { purposes: [clientAuth] })]);
    expect(await dial(client, port)).toBe('TLS connection failed: unsuitable certificate purpose');
    const { port: unsaid } = await foreignServer([leafOf(ca, WEB, { purposes: undefined })]);
    expect(await dial(client, unsaid)).toBe(WEB);
  });
});
