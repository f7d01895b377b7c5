import { once } from 'node:events';
import https from 'node:https';
import tls from 'node:tls';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { foreignServer, listening, pemOf } from '../../test/support/loopback.ts';
import { issueSvid } from '../../test/support/pki.ts';
import { testSource, today, todaysCa } from '../../test/support/tls-source.ts';
import { authorizeAny, authorizeId } from '../authorize.ts';
import { connectTls, tlsClientOptions } from './connect.ts';
import { createHttpsServer, httpsAgent } from './https.ts';
import { createHttp2Server } from './http2.ts';
import { createTlsServer } from './server.ts';

const ca = todaysCa();
const web = testSource('spiffe://a.test/web', ca);
const near = testSource('spiffe://a.test/near', ca);
const stranger = testSource('spiffe://a.test/stranger', ca);
const outsider = testSource('spiffe://a.test/near', todaysCa());
const versions = ['TLSv1.2', 'TLSv1.3'] as const;

/** Resolves once a socket is closed, however that came. */
function closed(socket: tls.TLSSocket): Promise<unknown> {
  return new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve));
}

describe.each(versions)('the first byte over %s', (version) => {
  const only = { minVersion: version, maxVersion: version };

  it.each([
    { whose: 'of a stranger', authorize: authorizeId('spiffe://a.test/other'), chain: web },
    { whose: 'of an unknown authority', authorize: authorizeAny, chain: outsider },
  ])('is not sent to a server $whose, though written at once', async ({ authorize, chain }) => {
    const server = tls.createServer({ ...pemOf(chain.svid), ...only });
    const read: string[] = [];
    const over = new Promise((resolve) => {
      server.on('tlsClientError', resolve);
      server.on('secureConnection', (socket) => {
        socket.on('data', (part) => read.push(String(part)));
        socket.on('error', () => undefined).once('close', resolve);
      });
    });
    const port = await listening(server);
    const socket = tls.connect({ host: '127.0.0.1', port, ...tlsClientOptions(near, { authorize }) });
    socket.write('SECRET');
    socket.end('MORE');
    await closed(socket);
    await over;
    expect(read).toEqual([]);
  });

  it('is not sent by HTTP requests with a body either', async () => {
    const { port, read, server } = await foreignServer([issueSvid(ca, 'spiffe://a.test/web', today)], only);
    const authorize = authorizeId('spiffe://a.test/other');
    const gone = new Promise((resolve) => {
      server.on('connection', (raw) => raw.once('close', resolve));
    });
    const request = https.request({ host: '127.0.0.1', port, method: 'POST', agent: httpsAgent(near, { authorize }) });
    request.end('SECRET');
    await expect(once(request, 'response')).rejects.toThrow('peer spiffe://a.test/web is not authorized');
    await gone;
    expect(read).toEqual([]);
  });

  it('of a client that is not admitted reaches nobody, though written at once', async () => {
    const read: string[] = [];
    const heard: string[] = [];
    const refused: string[] = [];
    let count = (): void => undefined;
    const options = {
      authorize: authorizeId('spiffe://a.test/near'),
      onRefused: ({ message }: Error) => {
        refused.push(message);
        count();
      },
    };
    const servers = [
      createTlsServer(web, options, (socket) => socket.on('data', (part) => read.push(String(part)))),
      createHttpsServer(web, options, (request) => read.push(String(request.url))),
      createHttp2Server(web, { ...options, http2: { allowHTTP1: true } }, (request) => read.push(request.url)),
    ];
    for (const server of servers) {
      // Listeners of whoever comes later, and before.
      server.on('secureConnection', () => heard.push('secureConnection'));
      server.prependListener('secureConnection', () => heard.push('secureConnection'));
      server.on('clientError', () => heard.push('clientError'));
      server.on('session', () => heard.push('session'));
      const port = await listening(server);
      for (const client of [pemOf(stranger.svid), pemOf(outsider.svid), {}]) {
        const before = refused.length;
        const told = new Promise<void>((resolve) => (count = resolve));
        const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...client, ...only });
        socket.write('GET /secret HTTP/1.1\r\nHost: x\r\n\r\n');
        await Promise.all([closed(socket.resume()), told]);
        expect(refused).toHaveLength(before + 1);
      }
    }
    await turn();
    expect(read).toEqual([]);
    expect(heard.filter((event) => event !== 'clientError')).toEqual([]);
    const messages = ['peer spiffe://a.test/stranger is not authorized', 'certificate signed by unknown authority'];
    for (const message of messages) expect(refused.filter((one) => one.startsWith(message))).toHaveLength(3);
  });

  it('of a client that is admitted is not lost, though written at once and the end with it', async () => {
    const server = createTlsServer(
      web,
      { authorize: authorizeAny },
      (socket) => {
        let text = '';
        socket.on('data', (part) => (text += String(part)));
        socket.on('end', () => socket.end(`read ${text.length}`));
      },
      { allowHalfOpen: true },
    );
    const port = await listening(server);
    const text = 'x'.repeat(100_000);
    const socket = tls.connect({
      ...{ host: '127.0.0.1', port, allowHalfOpen: true },
      ...{ rejectUnauthorized: false, ...pemOf(near.svid), ...only },
    });
    socket.end(text);
    let reply = '';
    for await (const part of socket) reply += String(part);
    expect(reply).toBe(`read ${text.length}`);
  });
});

describe('a socket that was handed out', () => {
  it('can be written to at once', async () => {
    const server = createTlsServer(web, { authorize: authorizeAny }, (socket) => socket.pipe(socket));
    const { socket } = await connectTls(near, {
      host: '127.0.0.1',
      port: await listening(server),
      authorize: authorizeAny,
    });
    socket.end('echo');
    let reply = '';
    for await (const part of socket) reply += String(part);
    expect(reply).toBe('echo');
  });
});
