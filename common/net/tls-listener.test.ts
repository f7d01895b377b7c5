import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { parseSpiffeId, trustDomainOf } from '../../spiffe/id.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { generateSigner } from '../../spiffe/x509/key.ts';
import { encodePem } from '../../spiffe/x509/pem.ts';
import { selfSigned, selfSignedCaTemplate, signCertificate, x509SvidTemplate } from '../../spiffe/x509/profile.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import type { Closable } from '../lifecycle.ts';
import { silentLogger } from '../log/logger.ts';
import { subject } from '../observable.ts';
import type { Peer } from '../rpc/call.ts';
import { listenTls, type TlsIdentity } from './tls-listener.ts';

let serial = 1n;

/** A trust domain with an authority of its own that issues identities. */
async function authority(name: string) {
  const trustDomain = parseTrustDomain(name);
  const signer = await generateSigner('ec-p256');
  const common = (publicKey: Buffer) => ({
    serialNumber: (serial += 1n),
    now: Date.now(),
    ttlMs: 3_600_000,
    publicKey,
  });
  const template = selfSignedCaTemplate({ ...common(signer.publicKey), trustDomain, subject: {} });
  const issuer = selfSigned(template, signer);
  const root = await signCertificate(template, issuer);
  const issue = async (id: string): Promise<TlsIdentity> => {
    const own = await generateSigner('ec-p256');
    const fields = {
      ...common(own.publicKey),
      id: parseSpiffeId(id),
      issuer: { notAfter: parseCertificate(root).notAfter },
    };
    return { chain: [await signCertificate(x509SvidTemplate(fields), issuer)], privateKey: own.privateKey };
  };
  return { trustDomain, root, issue };
}

const open: Closable[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function serve(more: { readonly handshakeTimeoutMs?: number } = {}) {
  const a = await authority('a.test');
  const b = await authority('b.test');
  const identity = subject(await a.issue('spiffe://a.test/spire/server'));
  const peers: Peer[] = [];
  const listener = await listenTls({
    host: '127.0.0.1',
    port: 0,
    identity,
    log: silentLogger,
    ...more,
    verifyPeer: (chain) => {
      const bundles = new Map([
        [a.trustDomain, [a.root]],
        [b.trustDomain, [b.root]],
      ]);
      const { id, leaf } = verifyX509Svid(chain, (trustDomain) => bundles.get(trustDomain), Date.now());
      return { id, chain, serialNumber: leaf.serialNumber.toString(), notAfter: leaf.notAfter };
    },
    onSocket: (socket, peer) => {
      peers.push(peer);
      socket.end('hello');
    },
  });
  open.push(listener);
  return { a, b, identity, peers, port: listener.port };
}

const pem = (identity: TlsIdentity): { cert: string; key: string | Buffer } => ({
  cert: identity.chain.map((der) => encodePem('CERTIFICATE', der)).join(''),
  key: identity.privateKey.export({ type: 'pkcs8', format: 'pem' }),
});

/** What the server said, or how the connection ended. */
async function talk(port: number, root: Buffer, options: tls.ConnectionOptions = {}): Promise<string> {
  const socket = connect(port, root, options);
  let text = '';
  try {
    for await (const part of socket) text += String(part);
  } catch (error) {
    return `failed: ${(error as NodeJS.ErrnoException).code}`;
  }
  return text === '' ? 'closed' : text;
}

function connect(port: number, root: Buffer, options: tls.ConnectionOptions): tls.TLSSocket {
  return tls.connect({
    host: '127.0.0.1',
    port,
    ca: encodePem('CERTIFICATE', root),
    checkServerIdentity: () => undefined,
    ALPNProtocols: ['h2'],
    ...options,
  });
}

describe('listenTls', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('serves clients with and without a certificate over %s', async (version) => {
    const { a, b, peers, port } = await serve();
    const only = { minVersion: version, maxVersion: version };
    expect(await talk(port, a.root, only)).toBe('hello');
    expect(await talk(port, a.root, { ...only, ...pem(await a.issue('spiffe://a.test/x')) })).toBe('hello');
    expect(await talk(port, a.root, { ...only, ...pem(await b.issue('spiffe://b.test/y')) })).toBe('hello');
    expect(peers.map((peer) => (peer.transport === 'tcp' ? peer.certificate?.id : 'unix'))).toEqual([
      undefined,
      'spiffe://a.test/x',
      'spiffe://b.test/y',
    ]);
    expect(peers[0]).toMatchObject({ transport: 'tcp', address: '127.0.0.1' });
  });

  it('judges a chain by the bundle of its own trust domain only', async () => {
    const { a, b, peers, port } = await serve();
    const forged = await b.issue('spiffe://a.test/x');
    const unknown = await (await authority('c.test')).issue('spiffe://c.test/x');
    expect(await talk(port, a.root, pem(forged))).not.toBe('hello');
    expect(await talk(port, a.root, pem(unknown))).not.toBe('hello');
    expect(peers).toEqual([]);
  });

  it('presents a new identity to the next handshake', async () => {
    const { a, identity, port } = await serve();
    const presented = async (): Promise<string> => {
      const socket = connect(port, a.root, {});
      await once(socket, 'secureConnect');
      const { serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      return serialNumber;
    };
    const before = await presented();
    identity.publish(
      await a.issue(`spiffe://${trustDomainOf(parseSpiffeId('spiffe://a.test/spire/server'))}/spire/server`),
    );
    expect(await presented()).not.toBe(before);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'never resumes a session over %s, before or after a rotation',
    async (version) => {
      const { a, identity, port } = await serve();
      const only = { minVersion: version, maxVersion: version } as const;
      const reused = async (session?: Buffer): Promise<{ session: Buffer | undefined; reused: boolean }> => {
        const socket = connect(port, a.root, session === undefined ? only : { ...only, session });
        await once(socket, 'secureConnect');
        const wasReused = socket.isSessionReused();
        // Tickets of TLS 1.3 come after the handshake, so the session is taken once the server has said everything.
        socket.resume();
        await once(socket, 'end');
        const last = socket.getSession();
        socket.destroy();
        return { session: last, reused: wasReused };
      };
      const first = await reused();
      expect((await reused(first.session)).reused).toBe(false);
      identity.publish(await a.issue('spiffe://a.test/spire/server'));
      const second = await reused();
      expect((await reused(second.session)).reused).toBe(false);
    },
  );

  it('refuses TLS 1.1 and clients that do not speak HTTP/2', async () => {
    const { a, port, peers } = await serve();
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    expect(await talk(port, a.root, old)).toMatch(/^failed/);
    expect(await talk(port, a.root, { ALPNProtocols: ['http/1.1'] })).toMatch(/^failed/);
    expect(await talk(port, a.root, { ALPNProtocols: [] })).not.toBe('hello');
    expect(peers).toEqual([]);
  });

  it('sends its leaf only and names no acceptable authorities', async () => {
    const { port } = await serve();
    const client = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-alpn', 'h2', '-showcerts'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let text = '';
    for await (const part of client.stdout) text += String(part);
    expect(text.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
    expect(text).toContain('No client certificate CA names sent');
  });

  it('closes the connection of a client that never ends its handshake', async () => {
    const { peers, port } = await serve({ handshakeTimeoutMs: 50 });
    const silent = net.connect(port, '127.0.0.1');
    silent.on('error', () => undefined);
    silent.resume();
    await once(silent, 'close');
    expect(peers).toEqual([]);
  });

  it('says which address is taken', async () => {
    const { identity, port } = await serve();
    const again = listenTls({
      host: '127.0.0.1',
      port,
      identity,
      log: silentLogger,
      verifyPeer: () => {
        throw new Error('nobody');
      },
      onSocket: () => undefined,
    });
    await expect(again).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: another process is listening there`);
  });

  it('closes at once though handshakes are going on', async () => {
    const { port } = await serve();
    const silent = net.connect(port, '127.0.0.1');
    await once(silent, 'connect');
    const cutOff = once(silent.resume(), 'close');
    // The server has to have accepted it, or it never hears of the end.
    const later = net.connect(port, '127.0.0.1');
    await once(later, 'connect');
    later.destroy();
    for (const one of open.splice(0)) await one.close();
    await cutOff;
  });
});
