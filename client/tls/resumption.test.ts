import { once } from 'node:events';
import https from 'node:https';
import { setImmediate as turn } from 'node:timers/promises';
import tls from 'node:tls';
import { describe, expect, it } from 'vitest';
import { endAfterTest, foreignServer, listening, opensslPeer, pemOf } from '../../test/support/loopback.ts';
import { issueSvid } from '../../test/support/pki.ts';
import { scratchFolder } from '../../test/support/scratch.ts';
import { testSource, today, todaysCa } from '../../test/support/tls-source.ts';
import { authorizeAny, authorizeId } from '../authorize.ts';
import { connectTls, tlsClientOptions } from './connect.ts';
import { createHttpsServer, httpsAgent } from './https.ts';
import { createTlsServer } from './server.ts';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

const ca = todaysCa();
const web = testSource('spiffe://a.test/web', ca);
const near = testSource('spiffe://a.test/near', ca);
const folder = scratchFolder();
const versions = ['TLSv1.2', 'TLSv1.3'] as const;

/** A server as others make them: it hands out tickets, and takes up the sessions of those who come back. */
function careless(version: (typeof versions)[number], tickets: boolean): https.Server {
  const server = https.createServer(
    {
      ...pemOf([issueSvid(ca, 'spiffe://a.test/web', today)]),
      ...{ minVersion: version, maxVersion: version },
      ...(tickets ? {} : { secureOptions: 0x4000 }),
    },
    (request, response) => response.end((request.socket as tls.TLSSocket).isSessionReused() ? 'resumed' : 'full'),
  );
  const sessions = new Map<string, Buffer>();
  server.on('newSession', (id: Buffer, session: Buffer, stored: () => void) => {
    sessions.set(id.toString('hex'), session);
    stored();
  });
  server.on('resumeSession', (id: Buffer, found: (error: null, session: Buffer | null) => void) =>
    found(null, sessions.get(id.toString('hex')) ?? null),
  );
  return server;
}

async function get(port: number, options: https.RequestOptions): Promise<string> {
  const request = https.get({ host: '127.0.0.1', port, ...options });
  const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream];
  let body = '';
  for await (const part of response) body += String(part);
  return `${body}${request.reusedSocket ? ' on a shared connection' : ''}`;
}

describe.each([
  { version: 'TLSv1.2', tickets: true },
  { version: 'TLSv1.2', tickets: false },
  // Without tickets no server of Node resumes sessions of TLS 1.3.
  { version: 'TLSv1.3', tickets: true },
] as const)('as a client of a server that resumes ($version, tickets: $tickets)', ({ version, tickets }) => {
  it('never takes up a session, by agents of Node either', async () => {
    const port = await listening(careless(version, tickets));
    const options = () => tlsClientOptions(near, { authorize: authorizeAny });
    const agents = {
      ours: { agent: httpsAgent(near, { authorize: authorizeAny }) },
      plain: { agent: new https.Agent(), ...options() },
      // What shows that the server would.
      control: { agent: new https.Agent(), rejectUnauthorized: false },
    };
    const seen: Record<string, string[]> = {};
    for (const [name, request] of Object.entries(agents)) {
      const answers = (seen[name] = [] as string[]);
      for (let time = 0; time < 3; time += 1)
        answers.push(await get(port, { ...request, headers: { connection: 'close' } }));
    }
    expect(seen['control']).toContain('resumed');
    expect([seen['ours'], seen['plain']]).toEqual([
      ['full', 'full', 'full'],
      ['full', 'full', 'full'],
    ]);
  });
});

describe('connections that are kept alive', () => {
  it('are not shared by agents of Node with another authorizer', async () => {
    const port = await listening(careless('TLSv1.3', true));
    const agent = new https.Agent({ keepAlive: true });
    endAfterTest(() => agent.destroy());
    const friend = tlsClientOptions(near, { authorize: authorizeId('spiffe://a.test/web') });
    const other = tlsClientOptions(near, { authorize: authorizeId('spiffe://a.test/other') });
    expect(await get(port, { agent, ...friend })).toBe('full');
    // Some while after the response is read the agent keeps the connection (Node 20), or ends it (newer ones, which share
    // none where a request has a judgement of its own).
    while (Object.keys(agent.sockets).length > 0) await turn();
    await expect(get(port, { agent, ...other })).rejects.toThrow('peer spiffe://a.test/web is not authorized');
  });

  it('ignore what single requests say about TLS', async () => {
    const { port } = await foreignServer([issueSvid(ca, 'spiffe://a.test/web', today)]);
    const agent = httpsAgent(near, { authorize: authorizeId('spiffe://a.test/other') });
    const lax = { rejectUnauthorized: false, checkServerIdentity: () => undefined };
    await expect(get(port, { agent, ...lax })).rejects.toThrow('peer spiffe://a.test/web is not authorized');
  });
});

describe.each(versions)('as a server (%s)', (version) => {
  const only = { minVersion: version, maxVersion: version };
  const files = { cert: path.join(folder, 'cert.pem'), key: path.join(folder, 'key.pem') };
  const { cert, key } = pemOf(near.svid);
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key);

  it('resumes nothing for a client that asks for it, before and after a rotation', async () => {
    const server = createTlsServer(web, { authorize: authorizeAny }, (socket) => socket.write('hello'));
    const port = await listening(server);
    const sessions: Buffer[] = [];
    const connect = async (session?: Buffer): Promise<boolean> => {
      const resume = session === undefined ? {} : { session };
      const options = { rejectUnauthorized: false, ...pemOf(near.svid), ...only, ...resume };
      const socket = tls.connect({ host: '127.0.0.1', port, ...options });
      socket.on('session', (one: Buffer) => sessions.push(one));
      await once(socket, 'data');
      const known = socket.getSession();
      if (known !== undefined) sessions.push(known);
      const reused = socket.isSessionReused();
      socket.destroy();
      return reused;
    };
    await connect();
    expect(sessions.length).toBeGreaterThan(0);
    for (const session of sessions.splice(0)) expect(await connect(session)).toBe(false);
    web.rotate();
    for (const session of sessions.splice(0)) expect(await connect(session)).toBe(false);
  });

  it('refuses resumed sessions even of a server that was made to keep them', async () => {
    const admitted: string[] = [];
    const refused: string[] = [];
    const options = { authorize: authorizeAny, onRefused: ({ message }: Error) => void refused.push(message) };
    const server = createHttpsServer(web, options, (_request, response) => response.end(`${admitted.push('one')}`));
    const kept = new Map<string, Buffer>();
    server.on('newSession', (id: Buffer, session: Buffer, stored: () => void) => {
      kept.set(id.toString('hex'), session);
      stored();
    });
    server.on('resumeSession', (id: Buffer, found: (error: null, session: Buffer | null) => void) =>
      found(null, kept.get(id.toString('hex')) ?? null),
    );
    const port = await listening(server);
    const agent = new https.Agent({ rejectUnauthorized: false, ...pemOf(near.svid), ...only });
    const request = { agent, headers: { connection: 'close' } };
    expect(await get(port, request)).toBe('1');
    expect(kept.size).toBeGreaterThan(0);
    if (version === 'TLSv1.3') {
      // Node asks such listeners for sessions of TLS 1.2 only: this is a handshake in full.
      expect(await get(port, request)).toBe('2');
      return;
    }
    await expect(get(port, request)).rejects.toThrow(/socket hang up|ECONNRESET/);
    expect([admitted, refused]).toEqual([['one'], ['TLS sessions are not resumed here']]);
  });

  it('says no to openssl, whose -reconnect counts new sessions', async () => {
    const server = createTlsServer(web, { authorize: authorizeAny }, (socket) => socket.end('bye\n'));
    const port = await listening(server);
    const identity = ['-cert', files.cert, '-key', files.key];
    const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-reconnect', ...identity];
    const { output } = await opensslPeer([...args, version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3'], '');
    expect(output).toMatch(/^New, TLSv1/m);
    expect(output).not.toMatch(/^Reused/m);
  });
});

describe('a server that resumes', () => {
  it('does not get by connectTls', async () => {
    const server = careless('TLSv1.2', true);
    const port = await listening(server);
    for (let time = 0; time < 3; time += 1) {
      const { socket } = await connectTls(near, { host: '127.0.0.1', port, authorize: authorizeAny });
      expect(socket.isSessionReused()).toBe(false);
      socket.destroy();
    }
  });
});
