import { once } from 'node:events';
import https from 'node:https';
import type net from 'node:net';
import tls from 'node:tls';
import { describe, expect, it } from 'vitest';
import { encodePem } from '../../spiffe/x509/pem.ts';
import { endAfterTest, listening, pemOf } from '../../test/support/loopback.ts';
import { testSource, todaysCa } from '../../test/support/tls-source.ts';
import { authorizeAny, authorizeId } from '../authorize.ts';
import { connectTls } from './connect.ts';
import { createHttpsServer, httpsAgent, webHttpsAgent } from './https.ts';
import { peerIdOf } from './peer.ts';
import { createTlsServer } from './server.ts';
import { connectWebTls, webTlsClientOptions } from './web.ts';

const ca = todaysCa();
const web = testSource('spiffe://a.test/web', ca);
const near = testSource('spiffe://a.test/near', ca);
const authorize = authorizeId('spiffe://a.test/near');

const publicCa = todaysCa();
const roots = encodePem('CERTIFICATE', publicCa.der);
function publicIdentity(...names: string[]): { readonly cert: string; readonly key: string } {
  return pemOf([todaysCa(publicCa, { ca: false, names: names.map((name) => [2, name] as const) })]);
}

/** A server for SPIFFE clients with a certificate of the web. */
async function shop(certificate = publicIdentity('shop.test')) {
  const peers: string[] = [];
  const server = createTlsServer(web, { authorize, certificate: () => certificate }, (socket) => {
    peers.push(peerIdOf(socket));
    socket.write('hello');
  });
  return { server, port: await listening(server), peers };
}

describe('a server with a certificate of the web', () => {
  it('is verified by authority and name, and learns who we are', async () => {
    const { port, peers } = await shop();
    const target = { host: '127.0.0.1', port, servername: 'shop.test', roots };
    const socket = await connectWebTls(near, target);
    endAfterTest(() => socket.destroy());
    await once(socket, 'data');
    expect(peers).toEqual(['spiffe://a.test/near']);
    expect(() => peerIdOf(socket)).toThrow('was not verified');
  });

  it.each<
    [
      what: string,
      change: { readonly servername?: string; readonly roots?: string | readonly string[] | undefined },
      why: string,
    ]
  >([
    ['another name', { servername: 'bank.test' }, "does not match certificate's altnames"],
    ['an address that it does not have', { servername: '' }, "does not match certificate's altnames"],
    ['an authority that is not asked for', { roots: encodePem('CERTIFICATE', todaysCa().der) }, 'unable to'],
    ['no authority', { roots: [] }, 'unable to'],
    ['an empty text for authorities', { roots: '' }, 'unable to'],
    ['those of Node', { roots: undefined }, 'unable to'],
  ])('is refused for %s', async (_what, change, why) => {
    const { port } = await shop();
    const { roots: given, ...target } = {
      host: '127.0.0.1',
      port,
      servername: 'shop.test',
      roots,
      ...change,
    };
    const connecting = connectWebTls(near, { ...target, ...(given === undefined ? {} : { roots: given }) });
    await expect(connecting).rejects.toMatchObject({ code: 'unauthenticated', message: expect.stringContaining(why) });
  });

  it('is reached by agents and by options as well, with the identity of now', async () => {
    const server = createHttpsServer(
      web,
      { authorize, certificate: () => publicIdentity('localhost') },
      (request, response) => response.end(peerIdOf(request)),
    );
    const port = await listening(server);
    const agent = webHttpsAgent(near, { roots });
    const options = webTlsClientOptions(near, { roots });
    for (const how of [{ agent }, { agent: false, ...options }]) {
      near.rotate();
      const [response] = (await once(https.get({ host: 'localhost', port, ...how }), 'response')) as [
        AsyncIterable<Buffer>,
      ];
      let body = '';
      for await (const part of response) body += String(part);
      expect(body).toBe('spiffe://a.test/near');
    }
    const wrong = https.get({ host: '127.0.0.1', port, agent });
    await expect(once(wrong, 'response')).rejects.toThrow('does not match');
    const lost = testSource('spiffe://a.test/near', ca);
    lost.rotate(undefined, { notAfter: Date.now() - 1000 });
    await expect(connectWebTls(lost, { host: 'localhost', port, roots })).rejects.toThrow('has expired');
    expect(() => tls.connect({ host: 'localhost', port, ...webTlsClientOptions(lost, { roots }) })).toThrow(
      'has expired',
    );
  });

  it('takes up a new certificate with the next connection', async () => {
    let certificate = publicIdentity('old.test');
    const server = createTlsServer(web, { authorize, certificate: () => certificate }, (socket) => socket.end());
    let contexts = 0;
    const setSecureContext = server.setSecureContext.bind(server);
    server.setSecureContext = (details) => {
      contexts += 1;
      setSecureContext(details);
    };
    const port = await listening(server);
    const dial = async (servername: string): Promise<void> => {
      (await connectWebTls(near, { host: '127.0.0.1', port, servername, roots })).destroy();
    };
    await dial('old.test');
    // The same one from another object is nothing new.
    certificate = { ...certificate };
    await dial('old.test');
    expect(contexts).toBe(1);
    certificate = publicIdentity('new.test');
    await dial('new.test');
    await expect(dial('old.test')).rejects.toThrow('does not match');
  });

  it('needs no identity of its own, only bundles', async () => {
    const bundles = { x509Bundles: web.x509Bundles };
    const certificate = publicIdentity('shop.test');
    const server = createTlsServer(bundles, { authorize, certificate: () => certificate }, (socket) => socket.end());
    const target = { host: '127.0.0.1', port: await listening(server), servername: 'shop.test', roots };
    (await connectWebTls(near, target)).destroy();
    expect(() => createTlsServer(bundles, { authorize }, () => undefined)).toThrow('no X509-SVID to present');
  });
});

describe('a client without an identity', () => {
  it('verifies servers all the same, and presents nothing', async () => {
    const nobody: (net.Socket | undefined)[] = [];
    const server = createTlsServer(web, { authorize, clientAuthentication: 'none' }, (socket) => {
      nobody.push(socket);
      expect(() => peerIdOf(socket)).toThrow('was not verified');
      socket.end('hello');
    });
    const port = await listening(server);
    const bundles = { x509Bundles: near.x509Bundles };
    const toWeb = { authorize: authorizeId('spiffe://a.test/web') };
    const { socket, peerId } = await connectTls(bundles, { host: '127.0.0.1', port, ...toWeb });
    expect([peerId, String((await once(socket, 'data'))[0]), nobody.length]).toEqual([
      'spiffe://a.test/web',
      'hello',
      1,
    ]);
    await expect(
      connectTls(bundles, { host: '127.0.0.1', port, authorize: authorizeId('spiffe://a.test/other') }),
    ).rejects.toMatchObject({ code: 'permission-denied' });
    await expect(connectTls(bundles, { host: '127.0.0.1', port, ...toWeb, present: 'svid' })).rejects.toMatchObject({
      code: 'failed-precondition',
    });
  });

  it('is turned away where identities are asked for', async () => {
    const refused: string[] = [];
    const options = { authorize: authorizeAny, onRefused: ({ message }: Error) => void refused.push(message) };
    const port = await listening(createHttpsServer(web, options, (_request, response) => response.end('secret')));
    const agent = httpsAgent(near, { authorize: authorizeAny, present: 'none' });
    await expect(once(https.get({ host: '127.0.0.1', port, agent }), 'response')).rejects.toThrow(/hang up|ECONNRESET/);
    expect(refused).toEqual(['peer presented no certificate']);
  });
});
