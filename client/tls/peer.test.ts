import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import path from 'node:path';
import tls from 'node:tls';
import { serve as serveHono } from '@hono/node-server';
import { Hono } from 'hono';
import { Agent, fetch } from 'undici';
import { describe, expect, it } from 'vitest';
import { FinialError } from '../../common/errors.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { endAfterTest, foreignServer, listening } from '../../test/support/loopback.ts';
import { issueSvid } from '../../test/support/pki.ts';
import { scratchFolder } from '../../test/support/scratch.ts';
import { testSource, today, todaysCa } from '../../test/support/tls-source.ts';
import { authorizeAny, authorizeId } from '../authorize.ts';
import { connectTls } from './connect.ts';
import { connectHttp2, createHttp2Server } from './http2.ts';
import { createHttpsServer, httpsAgent } from './https.ts';
import { peerIdOf, peerOf, verifyChain } from './peer.ts';
import { createTlsServer } from './server.ts';
import { createFetch, undiciConnect } from './undici.ts';

const ca = todaysCa();
const WEB = 'spiffe://a.test/web';
const NEAR = 'spiffe://a.test/near';
const web = testSource(WEB, ca);
const near = testSource(NEAR, ca);
const authorize = authorizeId(NEAR);
const toWeb = { authorize: authorizeId(WEB) };
const folder = scratchFolder();

describe('peerIdOf', () => {
  it('knows everything that belongs to a connection over HTTP/2, also when it is closed', async () => {
    const seen: unknown[] = [];
    const kept: object[] = [];
    const server = createHttp2Server(web, { authorize }, (request, response) => {
      const owners = [request, response, request.stream, request.stream.session ?? {}, request.socket, response.socket];
      seen.push(...owners.map((owner) => peerIdOf(owner)));
      kept.push(request.stream.session ?? {});
      response.end('hello');
    });
    const closed = new Promise((resolve) => server.on('session', (session) => session.once('close', resolve)));
    const session = await connectHttp2(near, `https://127.0.0.1:${await listening(server)}`, toWeb);
    const stream = session.request({ ':path': '/' }).resume();
    await once(stream, 'response');
    expect([session, stream, session.socket].map((owner) => peerIdOf(owner))).toEqual([WEB, WEB, WEB]);
    session.destroy();
    await closed;
    expect([...seen, ...kept.map((owner) => peerIdOf(owner)), peerIdOf(session)]).toEqual([
      ...Array.from({ length: 7 }, () => NEAR),
      WEB,
    ]);
  });

  it('knows no connection that others made or accepted', async () => {
    const { port } = await foreignServer([issueSvid(ca, WEB, today)]);
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    endAfterTest(() => socket.destroy());
    const request = new http.IncomingMessage(socket);
    const session = http2.connect('https://127.0.0.1', { createConnection: () => socket });
    session.on('error', () => undefined);
    endAfterTest(() => session.destroy());
    for (const owner of [socket, request, session, {}, { socket: null }, { socket: { socket: socket } }]) {
      expect(() => peerIdOf(owner)).toThrow(FinialError);
    }
  });

  it('goes together with what applications ask sockets for', async () => {
    const asked: unknown[] = [];
    for (const clientAuthentication of ['required', 'none'] as const) {
      const server = createHttpsServer(web, { authorize, clientAuthentication }, ({ socket }, response) => {
        asked.push((socket as tls.TLSSocket).authorized);
        response.end();
      });
      const agent = httpsAgent(near, toWeb);
      const request = https.get({ host: '127.0.0.1', port: await listening(server), agent });
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      asked.push((response.socket as tls.TLSSocket).authorized);
      response.resume();
    }
    expect(asked).toEqual([true, true, false, true]);
  });

  it('cannot be made to believe another peer', async () => {
    const server = createTlsServer(web, { authorize }, (socket) => socket.write('hello'));
    const port = await listening(server);
    const { socket } = await connectTls(near, { host: '127.0.0.1', port, ...toWeb });
    endAfterTest(() => socket.destroy());
    const peer = peerOf(socket);
    expect(() => Object.assign(peer, { id: 'spiffe://a.test/admin' })).toThrow(TypeError);
    expect(() => Object.assign(peer.chain, [Buffer.of()])).toThrow(TypeError);
    for (const key of Reflect.ownKeys(socket)) {
      if (Reflect.get(socket, key) !== socket || typeof key === 'string') continue;
      expect(Reflect.set(socket, key, {})).toBe(false);
      expect(Reflect.deleteProperty(socket, key)).toBe(false);
    }
    expect(peerIdOf(socket)).toBe(WEB);
  });

  it('knows who asks through other frameworks that take a server', async () => {
    const app = new Hono<{ Bindings: { incoming: http.IncomingMessage } }>();
    app.get('/', (context) => context.text(peerIdOf(context.env.incoming)));
    const server = await new Promise<https.Server>((resolve) => {
      const made = serveHono(
        {
          fetch: app.fetch,
          port: 0,
          hostname: '127.0.0.1',
          createServer: (...[, listener]: [object, http.RequestListener]) =>
            createHttpsServer(web, { authorize }, listener),
        } as unknown as Parameters<typeof serveHono>[0],
        () => resolve(made as https.Server),
      );
    });
    endAfterTest(() => [server.close(), server.closeAllConnections()]);
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const spiffeFetch = await createFetch(near, toWeb);
    endAfterTest(() => spiffeFetch.close());
    expect(await (await spiffeFetch(`https://127.0.0.1:${port ?? 0}/`)).text()).toBe(NEAR);
  });
});

describe('ways to connect', () => {
  it('include Unix sockets and connections that are there already', async () => {
    const server = createHttpsServer(web, { authorize }, (request, response) => response.end(peerIdOf(request)));
    const socketPath = path.join(folder, 'web.sock');
    server.listen(socketPath);
    await once(server, 'listening');
    endAfterTest(() => [server.close(), server.closeAllConnections()]);
    const agent = httpsAgent(near, toWeb);
    const [response] = (await once(https.get({ socketPath, agent }), 'response')) as [http.IncomingMessage];
    let body = '';
    for await (const part of response) body += String(part);
    expect([body, peerIdOf(response)]).toEqual([NEAR, WEB]);
    const { socket, peerId } = await connectTls(near, { path: socketPath, ...toWeb });
    socket.destroy();
    expect(peerId).toBe(WEB);
  });

  it('speak HTTP/2 by undici if both are told so', async () => {
    const server = createHttp2Server(web, { authorize, http2: { allowHTTP1: true } }, (request, response) => {
      response.end(`${request.httpVersion} ${peerIdOf(request)}`);
    });
    const port = await listening(server);
    const url = `https://127.0.0.1:${port}/`;
    for (const [allowH2, version] of [
      [true, '2.0'],
      [false, '1.1'],
    ] as const) {
      const dispatcher = new Agent({ connect: undiciConnect(near, { ...toWeb, allowH2 }), allowH2 });
      expect(await (await fetch(url, { dispatcher })).text()).toBe(`${version} ${NEAR}`);
      await dispatcher.destroy();
    }
  });

  it('do not take a server for one of HTTP/2 that did not say so', async () => {
    for (const options of [{}, { ALPNProtocols: ['http/1.1'] }]) {
      const { port } = await foreignServer([issueSvid(ca, WEB, today)], options);
      const connecting = connectHttp2(near, `https://127.0.0.1:${port}`, toWeb);
      await expect(connecting).rejects.toThrow(/does not speak HTTP\/2|no application protocol/);
    }
  });
});

describe('verifyChain', () => {
  const judge = (chain: readonly Buffer[]) =>
    verifyChain(chain, { bundles: near, authorize: authorizeAny, now: Date.now });

  it('names the authority, and leaves it out of the chain', () => {
    const between = todaysCa(ca);
    const leaf = issueSvid(between, WEB, today);
    const { id, trustDomain, chain, authority, notAfter } = judge([leaf.der, between.der, ca.der]);
    expect([id, trustDomain, notAfter]).toEqual([WEB, 'a.test', parseCertificate(leaf.der).notAfter]);
    expect(chain.map((der) => der.toString('hex'))).toEqual([leaf, between].map(({ der }) => der.toString('hex')));
    expect(authority.equals(ca.der)).toBe(true);
  });

  it('blames the peer for whatever is wrong', () => {
    const expired = issueSvid(ca, WEB, { ...today, notAfter: Date.now() - 1000 });
    const broken: [chain: readonly Buffer[], why: string][] = [
      [[], 'empty'],
      [[Buffer.from('no certificate')], 'malformed'],
      [[ca.der], 'URI'],
      [[expired.der], 'expired'],
      [[issueSvid(todaysCa(), WEB, today).der], 'unknown authority'],
      [[issueSvid(ca, 'spiffe://else.test/x', today).der], 'no X.509 bundle found'],
    ];
    for (const [chain, why] of broken) {
      expect(() => judge(chain)).toThrow(
        expect.objectContaining({ code: 'unauthenticated', message: expect.stringContaining(why) }) as Error,
      );
    }
  });
});
