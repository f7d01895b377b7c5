import { once } from 'node:events';
import type http2 from 'node:http2';
import https from 'node:https';
import { afterEach, describe, expect, it } from 'vitest';
import { Agent, fetch } from 'undici';
import { listening } from '../../test/support/loopback.ts';
import { testSource, todaysCa } from '../../test/support/tls-source.ts';
import { authorizeAny, authorizeId } from '../authorize.ts';
import { createFetch, undiciConnect } from './undici.ts';
import { connectHttp2, createHttp2Server } from './http2.ts';
import { createHttpsServer, httpsAgent } from './https.ts';
import { peerIdOf } from './peer.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

const ca = todaysCa();
const web = testSource('spiffe://a.test/web', ca);
const near = testSource('spiffe://a.test/near', ca);
const stranger = testSource('spiffe://a.test/stranger', ca);
const authorize = authorizeId('spiffe://a.test/near');
const toWeb = { authorize: authorizeId('spiffe://a.test/web') };

/** An HTTPS server that greets callers by their IDs, and what it was asked. */
async function httpsSite() {
  const requests: string[] = [];
  const refused: string[] = [];
  const server = createHttpsServer(
    web,
    { authorize, onRefused: ({ message }) => refused.push(message) },
    (request, response) => {
      requests.push(request.url ?? '');
      response.end(`hello ${peerIdOf(request)}`);
    },
  );
  return { port: await listening(server), requests, refused };
}

function get(
  url: string,
  agent: https.Agent,
): Promise<{ readonly body: string; readonly reused: boolean; readonly peer: string }> {
  return new Promise((resolve, reject) => {
    const request = https.get(url, { agent }, (response) => {
      let body = '';
      response.on('data', (part) => (body += String(part)));
      const peer = peerIdOf(response);
      response.on('end', () => resolve({ body, reused: request.reusedSocket, peer }));
    });
    request.on('error', reject);
  });
}

describe('https', () => {
  it('names the caller to the server and the server to the caller, by host name or address', async () => {
    const { port } = await httpsSite();
    const agent = httpsAgent(near, toWeb);
    for (const host of ['localhost', '127.0.0.1']) {
      expect(await get(`https://${host}:${port}/`, agent)).toEqual({
        body: 'hello spiffe://a.test/near',
        reused: false,
        peer: 'spiffe://a.test/web',
      });
    }
  });

  it('keeps connections alive through a rotation, and shares none with another agent', async () => {
    const { port } = await httpsSite();
    const agent = httpsAgent(near, toWeb, { keepAlive: true });
    open.push(() => agent.destroy());
    const url = `https://127.0.0.1:${port}/`;
    expect((await get(url, agent)).reused).toBe(false);
    near.rotate();
    web.rotate();
    expect((await get(url, agent)).reused).toBe(true);
    const strict = httpsAgent(near, { authorize: authorizeId('spiffe://a.test/other') }, { keepAlive: true });
    await expect(get(url, strict)).rejects.toThrow('peer spiffe://a.test/web is not authorized');
  });

  it('parses no request of a client that was not admitted', async () => {
    const { port, requests, refused } = await httpsSite();
    await expect(get(`https://127.0.0.1:${port}/secret`, httpsAgent(stranger, toWeb))).rejects.toThrow(
      /ECONNRESET|hang up|EPIPE/,
    );
    expect(requests).toEqual([]);
    expect(refused).toContain('peer spiffe://a.test/stranger is not authorized');
  });
});

describe('http2', () => {
  it('names both sides to each other', async () => {
    const ids: string[] = [];
    const server = createHttp2Server(web, { authorize }, (request, response) => {
      ids.push(peerIdOf(request), peerIdOf(request.stream));
      response.end('hello');
    });
    const port = await listening(server);
    const session = await connectHttp2(near, `https://127.0.0.1:${port}`, toWeb);
    open.push(() => session.destroy());
    const stream = session.request({ ':path': '/' });
    let body = '';
    for await (const part of stream.setEncoding('utf8')) body += String(part);
    expect([body, peerIdOf(session), peerIdOf(stream), ...ids]).toEqual([
      'hello',
      'spiffe://a.test/web',
      'spiffe://a.test/web',
      'spiffe://a.test/near',
      'spiffe://a.test/near',
    ]);
  });

  it('speaks HTTP/1.1 as well where it is allowed', async () => {
    const server = createHttp2Server(web, { authorize, http2: { allowHTTP1: true } }, (request, response) => {
      response.end(`${request.httpVersion} ${peerIdOf(request)}`);
    });
    const port = await listening(server);
    expect((await get(`https://127.0.0.1:${port}/`, httpsAgent(near, toWeb))).body).toBe('1.1 spiffe://a.test/near');
  });

  it('begins no session with a client that was not admitted, and connects to no wrong server', async () => {
    const sessions: http2.ServerHttp2Session[] = [];
    const server = createHttp2Server(web, { authorize });
    server.on('session', (session) => sessions.push(session));
    const port = await listening(server);
    const session = await connectHttp2(stranger, `https://127.0.0.1:${port}`, { authorize: authorizeAny });
    const failed = once(session, 'close');
    session.on('error', () => undefined);
    await failed;
    expect(sessions).toEqual([]);
    await expect(
      connectHttp2(near, `https://127.0.0.1:${port}`, { authorize: authorizeId('spiffe://a.test/x') }),
    ).rejects.toMatchObject({
      code: 'permission-denied',
    });
    await expect(connectHttp2(near, 'http://127.0.0.1', toWeb)).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});

describe('undici', () => {
  it('fetches with the current identity from an authorized server', async () => {
    const { port, requests } = await httpsSite();
    const agent = new Agent({ connect: undiciConnect(near, toWeb) });
    open.push(() => agent.close());
    const response = await fetch(`https://localhost:${port}/`, { dispatcher: agent });
    expect(await response.text()).toBe('hello spiffe://a.test/near');
    const strict = new Agent({ connect: undiciConnect(near, { authorize: authorizeId('spiffe://a.test/x') }) });
    open.push(() => strict.close());
    const failure = fetch(`https://localhost:${port}/`, { dispatcher: strict });
    await expect(failure).rejects.toMatchObject({ cause: { code: 'permission-denied' } });
    await expect(fetch(`http://localhost:${port}/`, { dispatcher: agent })).rejects.toMatchObject({
      cause: { code: 'invalid-argument' },
    });
    expect(requests).toEqual(['/']);
  });

  it('makes a fetch of its own', async () => {
    const { port } = await httpsSite();
    const spiffeFetch = await createFetch(near, toWeb);
    open.push(() => spiffeFetch.close());
    const response = await spiffeFetch(`https://localhost:${port}/x`, { method: 'POST', body: 'text' });
    expect([response.status, await response.text()]).toEqual([200, 'hello spiffe://a.test/near']);
  });
});
