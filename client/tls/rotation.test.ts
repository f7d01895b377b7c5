import { once } from 'node:events';
import https from 'node:https';
import tls from 'node:tls';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Agent, fetch } from 'undici';
import { describe, expect, it } from 'vitest';
import type { FinialError } from '../../common/errors.ts';
import { endAfterTest, listening, opensslPeer, pemOf } from '../../test/support/loopback.ts';
import { scratchFolder } from '../../test/support/scratch.ts';
import { testSource, type TestSource, today, todaysCa } from '../../test/support/tls-source.ts';
import { authorizeAny, authorizeId } from '../authorize.ts';
import { encodePem } from '../../spiffe/x509/pem.ts';
import { connectTls } from './connect.ts';
import { connectHttp2, createHttp2Server } from './http2.ts';
import { createHttpsServer, httpsAgent } from './https.ts';
import { peerIdOf, peerOf } from './peer.ts';
import { createTlsServer } from './server.ts';
import { undiciConnect } from './undici.ts';

const WEB = 'spiffe://a.test/web';
const NEAR = 'spiffe://b.test/near';
const toWeb = { authorize: authorizeId(WEB) };
const toNear = { authorize: authorizeId(NEAR) };

/** Two workloads of two trust domains, and a step of rotation: SVIDs each time, and authorities every fourth time. */
function pair(): {
  readonly web: TestSource;
  readonly near: TestSource;
  readonly rotate: () => void;
  readonly replaceAuthorities: () => void;
} {
  let authorities = [todaysCa(), todaysCa()] as const;
  let next = authorities;
  const web = testSource(WEB, authorities[0], { 'b.test': authorities[1] });
  const near = testSource(NEAR, authorities[1], { 'a.test': authorities[0] });
  let step = 0;
  const announce = (): void => {
    next = [todaysCa(), todaysCa()];
    for (const one of [web, near]) {
      one.setBundle('a.test', authorities[0], next[0]);
      one.setBundle('b.test', authorities[1], next[1]);
    }
  };
  const renew = (): void => {
    web.rotate(authorities[0]);
    near.rotate(authorities[1]);
  };
  return {
    web,
    near,
    rotate() {
      // As servers do it: everybody is told of a new authority before it signs, and the old one goes with the one after.
      if (step % 4 === 0) announce();
      if (step % 4 === 2) authorities = next;
      renew();
      step += 1;
    },
    replaceAuthorities() {
      announce();
      authorities = next;
      renew();
    },
  };
}

describe('rotation of identities and authorities under load', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('fails no handshake of 120 over %s', async (version) => {
    const { web, near, rotate } = pair();
    const refused: unknown[] = [];
    const options = { ...toNear, onRefused: (error: Error) => void refused.push(error) };
    const server = createTlsServer(web, options, (socket) => socket.end(peerIdOf(socket)));
    const port = await listening(server);
    const before = tls.DEFAULT_MAX_VERSION;
    tls.DEFAULT_MAX_VERSION = version;
    endAfterTest(() => (tls.DEFAULT_MAX_VERSION = before));
    const dial = async (): Promise<string> => {
      const { socket, peerId } = await connectTls(near, { host: '127.0.0.1', port, ...toWeb });
      let said = '';
      for await (const part of socket) said += String(part);
      return `${socket.getProtocol() ?? version} ${peerId} ${said}`;
    };
    for (let round = 0; round < 20; round += 1) {
      const dials = [1, 2, 3].map(dial);
      rotate();
      dials.push(...[1, 2, 3].map(dial));
      expect(await Promise.all(dials)).toEqual(dials.map(() => `${version} ${WEB} ${NEAR}`));
    }
    expect(refused).toEqual([]);
  });

  it('fails no request over HTTPS, HTTP/2 and undici, and ends no connection that is kept alive', async () => {
    const { web, near, rotate } = pair();
    const refused: unknown[] = [];
    const sockets = new Set<unknown>();
    const options = { ...toNear, onRefused: (error: Error) => void refused.push(error) };
    const one = createHttpsServer(web, options, (request, response) => {
      sockets.add(request.socket);
      response.end(peerIdOf(request));
    });
    const two = createHttp2Server(web, options, (request, response) => response.end(peerIdOf(request)));
    const [port, port2] = [await listening(one), await listening(two)];
    const kept = httpsAgent(near, toWeb, { keepAlive: true, maxSockets: 1 });
    const undici = new Agent({ connect: undiciConnect(near, toWeb), connections: 1 });
    const session = await connectHttp2(near, `https://127.0.0.1:${port2}`, toWeb);
    endAfterTest(() => [kept.destroy(), session.destroy(), undici.destroy()]);
    const get = async (agent: https.Agent): Promise<string> => {
      const [response] = (await once(https.get({ host: '127.0.0.1', port, agent }), 'response')) as [
        AsyncIterable<Buffer>,
      ];
      return collect(response);
    };
    const fresh = async (): Promise<string> => {
      const agent = httpsAgent(near, toWeb);
      const said = await get(agent);
      agent.destroy();
      return said;
    };
    for (let round = 0; round < 20; round += 1) {
      const requests = [
        get(kept),
        fresh(),
        collect(session.request({ ':path': '/' })),
        fetch(`https://127.0.0.1:${port}/`, { dispatcher: undici }).then((response) => response.text()),
      ];
      rotate();
      expect(await Promise.all(requests)).toEqual([NEAR, NEAR, NEAR, NEAR]);
    }
    expect(refused).toEqual([]);
    // Twenty that were made for one request each, and one each that the two agents kept through it all.
    expect(sockets.size).toBe(22);
  });
});

describe('a change of authority in the middle of a handshake', () => {
  it('fails no connection', async () => {
    const { web, near, replaceAuthorities } = pair();
    const server = createTlsServer(web, toNear, (socket) => socket.end(peerIdOf(socket)));
    const target = { host: '127.0.0.1', port: await listening(server), ...toWeb };
    const connecting = connectTls(near, target);
    replaceAuthorities();
    const { socket } = await connecting;
    // The client has offered what it knew before; the bundle of now is what counts.
    expect(peerOf(socket).authority.equals(near.x509Bundles.get(peerOf(socket).trustDomain)?.[1] ?? Buffer.of())).toBe(
      true,
    );
    socket.destroy();
  });
});

async function collect(parts: AsyncIterable<unknown>): Promise<string> {
  let text = '';
  for await (const part of parts) text += String(part);
  return text;
}

describe('an identity that is not valid', () => {
  const expired = { notAfter: Date.now() - 1000 };

  it('is presented by no server, which recovers, and open connections live on', async () => {
    const { web, near } = pair();
    const refused: FinialError[] = [];
    const server = createTlsServer(web, { ...toNear, onRefused: (error) => refused.push(error) }, (socket) =>
      socket.pipe(socket),
    );
    const target = { host: '127.0.0.1', port: await listening(server), ...toWeb };
    const { socket } = await connectTls(near, target);
    endAfterTest(() => socket.destroy());
    web.rotate(undefined, expired);
    await expect(connectTls(near, target)).rejects.toMatchObject({ code: 'unavailable' });
    web.revoke();
    await expect(connectTls(near, target)).rejects.toMatchObject({ code: 'unavailable' });
    expect(refused.map(({ message }) => message)).toEqual([
      'the X509-SVID of spiffe://a.test/web has expired',
      'no identity issued',
    ]);
    socket.write('still here');
    expect(String((await once(socket, 'data'))[0])).toBe('still here');
    web.rotate();
    const { socket: next } = await connectTls(near, target);
    next.destroy();
  });

  it('is presented by no client, whatever it uses', async () => {
    const { web, near } = pair();
    let connections = 0;
    const server = createHttpsServer(web, toNear, (_request, response) => response.end());
    server.on('connection', () => (connections += 1));
    const port = await listening(server);
    near.rotate(undefined, expired);
    const why = 'the X509-SVID of spiffe://b.test/near has expired';
    await expect(connectTls(near, { host: '127.0.0.1', port, ...toWeb })).rejects.toThrow(why);
    await expect(connectHttp2(near, `https://127.0.0.1:${port}`, toWeb)).rejects.toThrow(why);
    const request = https.get({ host: '127.0.0.1', port, agent: httpsAgent(near, toWeb) });
    await expect(once(request, 'response')).rejects.toThrow(why);
    const dispatcher = new Agent({ connect: undiciConnect(near, toWeb) });
    await expect(fetch(`https://127.0.0.1:${port}/`, { dispatcher })).rejects.toMatchObject({
      cause: { message: why },
    });
    await dispatcher.destroy();
    expect(connections).toBe(0);
  });

  it('goes by the clock that is given', async () => {
    const { web, near } = pair();
    let now = Date.now();
    const server = createTlsServer(web, { ...toNear, now: () => now }, (socket) => socket.end());
    const target = { host: '127.0.0.1', port: await listening(server), ...toWeb };
    now = web.svid.notAfter;
    await expect(connectTls(near, target)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(connectTls(near, { ...target, now: () => now })).rejects.toThrow('has expired');
    expect(() => createTlsServer(web, { ...toNear, now: () => now }, () => undefined)).toThrow('has expired');
    now -= 1000;
    const { socket } = await connectTls(near, { ...target, now: () => now });
    socket.destroy();
  });
});

describe('what openssl sees', () => {
  it('is the chain of now, with its intermediate and without hints at authorities', async () => {
    const root = todaysCa(undefined, { subject: 'the root' });
    const between = todaysCa(root, { subject: 'the intermediate' });
    const web = testSource(WEB, root);
    web.rotate(between, { subject: 'first leaf' });
    const server = createTlsServer(web, { authorize: authorizeAny }, (socket) => socket.end(peerIdOf(socket)));
    const port = await listening(server);
    const folder = scratchFolder();
    const files = { cert: path.join(folder, 'cert'), key: path.join(folder, 'key'), roots: path.join(folder, 'roots') };
    const { cert, key } = pemOf(testSource('spiffe://a.test/near', root).svid);
    writeFileSync(files.cert, cert);
    writeFileSync(files.key, key);
    writeFileSync(files.roots, encodePem('CERTIFICATE', root.der));
    const identity = ['-cert', files.cert, '-key', files.key, '-CAfile', files.roots, '-verify_return_error'];
    const ask = () => opensslPeer(['s_client', '-connect', `127.0.0.1:${port}`, '-ign_eof', ...identity]);
    for (const subject of ['first leaf', 'second leaf']) {
      const { output } = await ask();
      expect(output).toContain(`0 s:CN = ${subject}`);
      expect(output).toContain('1 s:CN = the intermediate');
      expect(output).not.toContain('2 s:');
      expect(output).toContain('No client certificate CA names sent');
      expect(output).toContain('Verify return code: 0 (ok)');
      expect(output).toContain('spiffe://a.test/near');
      web.rotate(between, { subject: 'second leaf' });
    }
  });

  it('is a server that a client of ours verifies to the end', async () => {
    const ca = todaysCa();
    const near = testSource('spiffe://a.test/near', ca);
    const web = testSource(WEB, ca, {}, today);
    const server = createTlsServer(web, { authorize: authorizeAny }, (socket) => socket.end());
    const { socket } = await connectTls(near, { host: '127.0.0.1', port: await listening(server), ...toWeb });
    const { chain, authority, ...rest } = peerOf(socket);
    const notAfter = Math.floor(web.svid.notAfter / 1000) * 1000;
    expect(rest).toEqual({ id: WEB, trustDomain: 'a.test', notAfter });
    expect(Buffer.concat(chain).equals(Buffer.concat(web.svid.chain))).toBe(true);
    expect(authority.equals(ca.der)).toBe(true);
    socket.destroy();
  });
});
