import { once, setMaxListeners } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { describe, expect, it } from 'vitest';
import { endAfterTest, foreignServer, listening, opensslPeer, pemOf } from '../../test/support/loopback.ts';
import { issueSvid } from '../../test/support/pki.ts';
import { testSource, today, todaysCa } from '../../test/support/tls-source.ts';
import { authorizeAny } from '../authorize.ts';
import { type ConnectOptions, connectTls, tlsClientOptions } from './connect.ts';
import { httpsAgent } from './https.ts';
import { createTlsServer, type TlsServerOptions } from './server.ts';

const ca = todaysCa();
const web = testSource('spiffe://a.test/web', ca);
const near = testSource('spiffe://a.test/near', ca);

interface Served {
  readonly port: number;
  readonly server: tls.Server;
  readonly refused: string[];
  /** How many connections the application was given. */
  readonly admitted: () => number;
  /** Resolves when so many were turned away. */
  readonly turnedAway: (count: number) => Promise<void>;
}

async function serve(options: Partial<TlsServerOptions> = {}): Promise<Served> {
  const refused: string[] = [];
  let admitted = 0;
  let wake = (): void => undefined;
  const onRefused = ({ code, message }: { code: string; message: string }): void => {
    refused.push(`${code}: ${message}`);
    wake();
  };
  const server = createTlsServer(web, { authorize: authorizeAny, onRefused, ...options }, (socket) => {
    admitted += 1;
    socket.write('hello');
  });
  return {
    ...{ server, refused, admitted: () => admitted },
    port: await listening(server),
    turnedAway: async (count) => {
      while (refused.length < count) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
}

function raw(port: number): net.Socket {
  const socket = net.connect(port, '127.0.0.1');
  endAfterTest(() => socket.destroy());
  return socket.on('error', () => undefined).resume();
}

async function greeted(port: number, more: Partial<ConnectOptions> = {}): Promise<string> {
  const { socket } = await connectTls(near, { host: '127.0.0.1', port, authorize: authorizeAny, ...more });
  const [greeting] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return String(greeting);
}

describe('a server', () => {
  it('ends handshakes that never go on, garbage, and half a greeting, and goes on serving', async () => {
    const { port, refused, turnedAway, admitted } = await serve({ handshakeTimeoutMs: 50 });
    const sent = [Buffer.of(), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.from('160301020001', 'hex')];
    await Promise.all(
      sent.map(async (bytes) => {
        const socket = raw(port);
        socket.write(bytes);
        await once(socket, 'close');
      }),
    );
    await turnedAway(sent.length);
    expect(refused.filter((one) => one.includes('TLS handshake timeout'))).toHaveLength(2);
    expect(refused.filter((one) => one.includes('http request'))).toHaveLength(1);
    expect(admitted()).toBe(0);
    expect(await greeted(port)).toBe('hello');
  });

  it('counts unfinished handshakes, refuses more than it was told, and recovers', async () => {
    const { port, refused, turnedAway } = await serve({ maxPendingHandshakes: 3 });
    const idle = [raw(port), raw(port), raw(port)];
    await Promise.all(idle.map((socket) => once(socket, 'connect')));
    await expect(greeted(port)).rejects.toMatchObject({ code: 'unavailable' });
    expect(refused).toEqual(['resource-exhausted: too many TLS handshakes are under way']);
    for (const socket of idle) socket.destroy();
    await turnedAway(4);
    for (let time = 0; time < 8; time += 1) expect(await greeted(port)).toBe('hello');
    expect(refused).toHaveLength(4);
  });

  it('tells of refused peers only, not of resets after admission', async () => {
    const { port, refused, server } = await serve();
    const reset = new Promise((resolve) => {
      server.on('secureConnection', (socket) => socket.once('close', resolve));
    });
    const tcp = net.connect(port, '127.0.0.1');
    const { socket } = await connectTls(near, { socket: tcp, authorize: authorizeAny });
    await once(socket, 'data');
    tcp.resetAndDestroy();
    await reset;
    expect(refused).toEqual([]);
    expect(await greeted(port)).toBe('hello');
  });

  it('speaks neither old TLS nor weak ciphers, and does not renegotiate', async () => {
    const { port, admitted } = await serve();
    const lax = { host: '127.0.0.1', port, rejectUnauthorized: false, ...pemOf(near.svid) };
    const attempts: tls.ConnectionOptions[] = [
      { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-CCM' },
    ];
    for (const attempt of attempts) {
      await expect(once(tls.connect({ ...lax, ...attempt }), 'secureConnect')).rejects.toThrow(/alert|unsupported/i);
    }
    const socket = tls.connect({ ...lax, maxVersion: 'TLSv1.2' });
    await once(socket, 'data');
    const outcome = await new Promise((resolve) => {
      socket.on('error', resolve);
      socket.renegotiate({}, resolve);
    });
    expect(outcome).toBeInstanceOf(Error);
    expect(admitted()).toBe(1);
  });

  it('leaves nothing behind after 200 connections', async () => {
    const { port, server } = await serve();
    const listeners = (): number => server.eventNames().reduce((sum, name) => sum + server.listenerCount(name), 0);
    let sources = 0;
    const counted = {
      get svid() {
        return near.svid;
      },
      x509Bundles: near.x509Bundles,
      onUpdate: (listener: () => void) => {
        sources += 1;
        const stop = near.onUpdate(listener);
        return () => {
          sources -= 1;
          stop();
        };
      },
    };
    const stop = new AbortController();
    setMaxListeners(0, stop.signal);
    const before = listeners();
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const options = { host: '127.0.0.1', port, authorize: authorizeAny, signal: stop.signal };
          const { socket } = await connectTls(counted, { ...options, closeWhenInvalid: true });
          await once(socket, 'data');
          socket.destroy();
          await once(socket, 'close');
        }),
      );
    }
    const open = (): Promise<number> =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
      );
    while ((await open()) > 0) await new Promise((resolve) => setImmediate(resolve));
    expect([listeners() - before, sources]).toEqual([0, 0]);
  });
});

describe('a client', () => {
  it('gives up after the time allowed and when it is told, in every stage, and leaves no socket', async () => {
    const sockets = new Set<net.Socket>();
    const mute = net.createServer((socket) => {
      sockets.add(socket.on('error', () => undefined).resume());
      socket.once('close', () => sockets.delete(socket));
    });
    const port = await listening(mute);
    await expect(greeted(port, { timeoutMs: 20 })).rejects.toMatchObject({ code: 'deadline-exceeded' });
    const stop = new AbortController();
    const connecting = greeted(port, { signal: stop.signal });
    await once(mute, 'connection');
    stop.abort(new Error('enough'));
    await expect(connecting).rejects.toMatchObject({ code: 'cancelled', cause: { message: 'enough' } });
    await expect(greeted(port, { signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' });
    while (sockets.size > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it('gives up what its agent was connecting when that is destroyed', async () => {
    const mute = net.createServer((socket) => socket.on('error', () => undefined).resume());
    const port = await listening(mute);
    const agent = httpsAgent(near, { authorize: authorizeAny });
    const { get } = await import('node:https');
    const request = get({ host: '127.0.0.1', port, agent });
    const failed = once(request, 'response');
    await once(mute, 'connection');
    agent.destroy();
    await expect(failed).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('tells a server that is not there from one that is refused', async () => {
    const gone = net.createServer();
    const port = await listening(gone);
    gone.close();
    await once(gone, 'close');
    await expect(greeted(port)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(greeted(port, { host: 'localhost' })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    await expect(greeted(port, { host: 'nobody.invalid' })).rejects.toMatchObject({ code: 'unavailable' });
    const hangsUp = await listening(net.createServer((socket) => socket.destroy()));
    await expect(greeted(hangsUp)).rejects.toMatchObject({ code: 'unavailable' });
    const noTls = await listening(
      net.createServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-x\r\n')),
    );
    await expect(greeted(noTls)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('refuses old TLS and weak ciphers', async () => {
    const leaf = [issueSvid(ca, 'spiffe://a.test/web', today)];
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    for (const options of [old, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' } as const]) {
      const { port } = await foreignServer(leaf, options);
      await expect(greeted(port)).rejects.toMatchObject({ code: 'unauthenticated' });
    }
  });

  it('sends names for routing but no addresses, and compares nothing with them', async () => {
    const names: unknown[] = [];
    const { port, server } = await foreignServer([issueSvid(ca, 'spiffe://a.test/web', today)]);
    server.on('secureConnection', (socket: tls.TLSSocket & { servername?: unknown }) => names.push(socket.servername));
    await greeted(port);
    await greeted(port, { host: 'localhost' });
    await greeted(port, { host: 'localhost', servername: '' });
    await greeted(port, { servername: 'bank.example' });
    await greeted(port, { servername: '10.0.0.1' });
    expect(names).toEqual([false, 'localhost', false, 'bank.example', false]);
  });

  it('is not let down by a change of what Node does by default', async () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    endAfterTest(() => delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']);
    const { port, read } = await foreignServer([issueSvid(todaysCa(), 'spiffe://a.test/web', today)]);
    await expect(greeted(port)).rejects.toMatchObject({ code: 'unauthenticated' });
    const options = tlsClientOptions(near, { authorize: authorizeAny });
    const socket = tls.connect({ host: '127.0.0.1', port, ...options });
    socket.write('SECRET');
    await expect(once(socket, 'secureConnect')).rejects.toThrow('unable to');
    expect(read).toEqual([]);
  });
});

describe('openssl as the other end', () => {
  it.each(['-tls1_2', '-tls1_3'])('gets a whole reply that was ended at once (%s)', async (version) => {
    const server = createTlsServer(web, { authorize: authorizeAny, clientAuthentication: 'none' }, (socket) =>
      socket.end('short reply\n'),
    );
    const port = await listening(server);
    const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-quiet', '-no_ign_eof', version];
    const { output } = await opensslPeer(args);
    expect(output).toContain('short reply');
    expect(output).not.toMatch(/unexpected eof|decode error/);
  });
});
