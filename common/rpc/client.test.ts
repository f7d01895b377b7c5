import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import * as x509 from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../log/logger.ts';
import { connectTls, type RpcChannel, type TlsTarget } from './client.ts';
import { implementHealth } from './health.ts';
import { createRpcServer } from './server.ts';
import { healthService } from './services.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A certificate authority of one certificate for itself. */
async function selfSigned(
  name: string,
): Promise<{ readonly certificate: string; readonly key: string; readonly der: Buffer }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: algorithm,
    notAfter: new Date(Date.now() + 3_600_000),
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`;
  return { certificate: `${certificate.toString('pem')}\n`, key, der: Buffer.from(certificate.rawData) };
}

describe('connectTls', () => {
  const rpc = createRpcServer({ services: [implementHealth(async () => true)], interceptors: [], log: silentLogger });
  let listener: tls.Server;
  let own: Awaited<ReturnType<typeof selfSigned>>;
  let other: Awaited<ReturnType<typeof selfSigned>>;
  const names: (string | false | null | undefined)[] = [];

  beforeAll(async () => {
    own = await selfSigned('own');
    other = await selfSigned('other');
    listener = tls.createServer({ key: own.key, cert: own.certificate, ALPNProtocols: ['h2'] }, (socket) => {
      names.push(socket.servername);
      rpc.accept(socket, { transport: 'tcp', address: '127.0.0.1', port: 1, certificate: undefined });
    });
    listener.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    listener.close();
    await rpc.stop(0);
  });

  async function check(roots: string, verifyServer: TlsTarget['verifyServer']): Promise<unknown> {
    const address = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
    const secureContext = tls.createSecureContext({ ca: roots, minVersion: 'TLSv1.2' });
    const channel: RpcChannel = connectTls({ address, secureContext, verifyServer });
    try {
      return await channel.call(healthService(), 'Check', {}, { timeoutMs: 5000 });
    } finally {
      channel.close();
    }
  }

  it('asks for a verdict on the leaf, on every connection', async () => {
    const judged: Buffer[] = [];
    for (let i = 0; i < 2; i += 1) {
      const reply = await check(own.certificate, (leaf) => {
        judged.push(leaf);
        return undefined;
      });
      expect(reply).toEqual({ status: 'SERVING' });
    }
    expect(judged).toEqual([own.der, own.der]);
    expect(names.slice(-2)).toEqual(['spire-server', 'spire-server']);
  });

  it('breaks off when the verdict is against the server', async () => {
    await expect(check(own.certificate, () => new Error('wrong SPIFFE ID'))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('wrong SPIFFE ID'),
    });
  });

  it('breaks off before any verdict when the chain leads elsewhere', async () => {
    let judged = false;
    const refused = check(other.certificate, () => {
      judged = true;
      return undefined;
    });
    await expect(refused).rejects.toMatchObject({ code: 'unavailable' });
    expect(judged).toBe(false);
  });
});
