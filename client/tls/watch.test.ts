import { once } from 'node:events';
import type tls from 'node:tls';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { listening } from '../../test/support/loopback.ts';
import { testSource, today, todaysCa } from '../../test/support/tls-source.ts';
import { authorizeAny } from '../authorize.ts';
import { connectTls } from './connect.ts';
import { createTlsServer, type TlsServerOptions } from './server.ts';

afterEach(() => void vi.useRealTimers());

/** A connection, watched by the side that is asked for, of two workloads of two trust domains. */
async function connection(watching: 'server' | 'client', more: { readonly now?: () => number } = {}) {
  const [a, b] = [todaysCa(), todaysCa()];
  const web = testSource('spiffe://a.test/web', a, { 'b.test': b });
  const near = testSource('spiffe://b.test/near', b, { 'a.test': a });
  const refused: string[] = [];
  const own = { authorize: authorizeAny, ...more, closeWhenInvalid: true };
  const options: TlsServerOptions = {
    ...(watching === 'server' ? own : { authorize: authorizeAny }),
    onRefused: ({ message }) => void refused.push(message),
  };
  let accepted: tls.TLSSocket | undefined;
  const server = createTlsServer(web, options, (socket) => {
    accepted = socket.resume();
    socket.write('hello');
  });
  const target = { host: '127.0.0.1', port: await listening(server) };
  const { socket } = await connectTls(near, {
    ...target,
    ...(watching === 'client' ? own : { authorize: authorizeAny }),
  });
  await once(socket, 'data');
  if (accepted === undefined) throw new Error('the server greets what it accepted');
  return {
    ...{ a, b, refused, socket: socket.resume() },
    /** The side that judges, what it knows, and how it calls its peer's trust domain. */
    ...(watching === 'server'
      ? { judge: accepted, source: web, trustDomain: 'b.test', authority: b }
      : { judge: socket, source: near, trustDomain: 'a.test', authority: a }),
  };
}

describe.each(['server', 'client'] as const)('a connection that its %s watches', (side) => {
  it('ends when the bundle of its peer is gone or has another authority, and no sooner', async () => {
    for (const left of [[], [todaysCa()]]) {
      const { judge, source, trustDomain, authority } = await connection(side);
      source.setBundle(trustDomain, todaysCa(), authority);
      source.rotate();
      source.setBundle('other.test', todaysCa());
      source.rotate();
      expect(judge.destroyed).toBe(false);
      source.setBundle(trustDomain, ...left);
      source.rotate();
      expect(judge.destroyed).toBe(true);
    }
  });

  it('ends when nothing can be judged any more', async () => {
    const { judge, source } = await connection(side);
    const bundles = vi.spyOn(source, 'x509Bundles', 'get').mockImplementation(() => {
      throw new Error('the source is closed');
    });
    source.rotate();
    expect([bundles.mock.calls.length, judge.destroyed]).toEqual([1, true]);
  });

  it('lives on under another authority that vouches for it as well', async () => {
    const { judge, source, trustDomain, authority } = await connection(side);
    const same = todaysCa(undefined, {
      key: authority.key,
      subject: authority.subject,
      subjectKeyId: authority.subjectKeyId,
    });
    source.setBundle(trustDomain, same);
    source.rotate();
    expect(judge.destroyed).toBe(false);
  });

  it('ends when its peer expires, however long that takes', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let now = Date.now();
    const { judge } = await connection(side, { now: () => now });
    const pass = (ms: number): void => {
      now += ms;
      vi.advanceTimersByTime(ms);
    };
    const left = Math.floor((today.notAfter ?? 0) / 1000) * 1000 - now;
    pass(left - 1000);
    expect(judge.destroyed).toBe(false);
    pass(2000);
    expect(judge.destroyed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is no longer watched once it is closed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { judge, source } = await connection(side);
    expect(vi.getTimerCount()).toBe(1);
    judge.destroy();
    await once(judge, 'close');
    expect(vi.getTimerCount()).toBe(0);
    source.rotate();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a server that watches', () => {
  it('tells whose connection it ended and why', async () => {
    const { source, refused } = await connection('server');
    source.setBundle('b.test');
    source.rotate();
    expect(refused).toEqual([expect.stringContaining('connection ended: ')]);
  });

  it('is one that was told to: others leave their connections alone', async () => {
    const { socket, judge, source } = await connection('client');
    expect(judge).toBe(socket);
    const { judge: server } = await connection('server');
    // The far side of each is not the one that watches.
    source.setBundle('b.test');
    source.rotate();
    expect([socket.destroyed, server.destroyed]).toEqual([false, false]);
  });
});
