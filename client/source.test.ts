import { describe, expect, it } from 'vitest';
import { ManualClock } from '../common/clock.ts';
import { FinialError } from '../common/errors.ts';
import { trustDomainOf } from '../spiffe/id.ts';
import { issueCa, issueSvid } from '../test/support/pki.ts';
import { parseX509Svid } from '../spiffe/x509/svid.ts';
import { createBundleSource } from './bundle-source.ts';
import type { JwtBundles, X509Svid } from './source.ts';
import type { StreamListener, WorkloadStream } from './stream.ts';
import type { WorkloadApi } from './workload-api.ts';
import type { X509BundleSet, X509Context } from './x509-context.ts';
import { createX509Source, type X509SourceOptions } from './x509-source.ts';

/** A stream that says what the test says. */
function scripted<T>() {
  const listeners = new Set<StreamListener<T>>();
  const endings: ((error?: FinialError) => void)[] = [];
  const followStream: WorkloadStream<T>['follow'] = (listener, { signal }) =>
    new Promise((resolve, reject) => {
      listeners.add(listener);
      const end = (error?: FinialError): void => {
        listeners.delete(listener);
        if (error === undefined) resolve();
        else reject(error);
      };
      endings.push(end);
      signal.addEventListener('abort', () => end());
    });
  return {
    stream: { follow: followStream } as unknown as WorkloadStream<T>,
    update: (value: T) => listeners.forEach((one) => one.onUpdate(value)),
    error: (error: FinialError) => listeners.forEach((one) => one.onError?.(error)),
    end: (error: FinialError) => endings.forEach((end) => end(error)),
    get followers() {
      return listeners.size;
    },
  };
}

const NOW = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;
const ca = issueCa(undefined, { notBefore: NOW - HOUR, notAfter: NOW + 24 * HOUR });

function svid(id: string, hint = '', lifetime = HOUR): X509Svid {
  const leaf = issueSvid(ca, id, { notBefore: NOW, notAfter: NOW + lifetime });
  const {
    id: own,
    chain,
    privateKey,
  } = parseX509Svid(leaf.der, leaf.key.privateKey.export({ type: 'pkcs8', format: 'der' }));
  const { notBefore, notAfter } = chain[0];
  return { id: own, chain: [leaf.der], privateKey, notBefore, notAfter, hint };
}

function context(...svids: [X509Svid, ...X509Svid[]]): X509Context {
  return { svids, bundles: new Map(svids.map(({ id }) => [trustDomainOf(id), [ca.der]])), crl: [] };
}

const denied = new FinialError('permission-denied', 'no identity issued');

async function x509Source(options: X509SourceOptions = {}) {
  const clock = new ManualClock(NOW);
  const agent = scripted<X509Context>();
  const api = { x509: agent.stream, close: () => expect.fail('a shared client stays open') } as unknown as WorkloadApi;
  const making = createX509Source({ api, clock, ...options });
  return { clock, agent, making };
}

describe('createX509Source', () => {
  it('is ready with the first update, and gives the newest one from then on', async () => {
    const { agent, making } = await x509Source();
    const [first, second] = [context(svid('spiffe://a.test/x')), context(svid('spiffe://a.test/x'))];
    agent.update(first);
    const source = await making;
    expect(source.svid).toBe(first.svids[0]);
    const seen: unknown[] = [];
    const remove = source.onUpdate(() => void seen.push(source.svid));
    agent.update(second);
    remove();
    agent.update(first);
    expect(seen).toEqual([second.svids[0]]);
    source.close();
    expect(agent.followers).toBe(0);
    expect(() => source.svid).toThrow('the source is closed');
  });

  it('waits through refusals, and says in the end what they were', async () => {
    const errors: string[] = [];
    const { agent, clock, making } = await x509Source({
      timeoutMs: 1000,
      onError: ({ code }) => void errors.push(code),
    });
    agent.error(denied);
    const outcome = making.catch((error: unknown) => error);
    await clock.advance(1000);
    expect(await outcome).toMatchObject({
      code: 'deadline-exceeded',
      message: 'no X509-SVID within 1 s: permission-denied: no identity issued',
    });
    expect(errors).toEqual(['permission-denied']);
    expect(agent.followers).toBe(0);
    expect(clock.sleeping).toBe(0);
  });

  it('gives up when its caller does, and when the agent refuses for good', async () => {
    const caller = new AbortController();
    const first = await x509Source({ signal: caller.signal });
    caller.abort();
    await expect(first.making).rejects.toMatchObject({ code: 'cancelled' });
    const second = await x509Source();
    second.agent.end(new FinialError('unimplemented', 'no X.509 here'));
    await expect(second.making).rejects.toMatchObject({ code: 'unimplemented' });
    expect([first.clock.sleeping, second.clock.sleeping]).toEqual([0, 0]);
  });

  it('has nothing any more once the agent refuses, until it gives something again', async () => {
    const { agent, making } = await x509Source();
    agent.update(context(svid('spiffe://a.test/x')));
    const source = await making;
    let changes = 0;
    source.onUpdate(() => void (changes += 1));
    agent.error(new FinialError('unavailable', 'restarting'));
    expect(source.svid.id).toBe('spiffe://a.test/x');
    agent.error(denied);
    expect(() => source.svid).toThrow('no identity issued');
    expect(() => source.x509Bundles).toThrow('no identity issued');
    agent.update(context(svid('spiffe://a.test/y')));
    expect(source.svid.id).toBe('spiffe://a.test/y');
    expect(changes).toBe(2);
    source.close();
  });

  it('keeps what it has on request, but never beyond its end', async () => {
    const { agent, clock, making } = await x509Source({ onPermissionDenied: 'keep' });
    agent.update(context(svid('spiffe://a.test/x')));
    const source = await making;
    agent.error(denied);
    expect(source.svid.id).toBe('spiffe://a.test/x');
    await clock.advance(HOUR);
    expect(() => source.svid).toThrow('the X509-SVID of spiffe://a.test/x has expired');
    source.close();
  });

  it('presents the picked identity, and finds others by their hints', async () => {
    const [a, b] = [svid('spiffe://a.test/a', 'first'), svid('spiffe://a.test/b', 'second')];
    const { agent, making } = await x509Source({ pick: (all) => all.find(({ hint }) => hint === 'second') });
    agent.update(context(a, b));
    const source = await making;
    expect(source.svid).toBe(b);
    expect(source.svidByHint('first')).toBe(a);
    expect(source.svidByHint('third')).toBeUndefined();
    agent.update(context(a));
    expect(() => source.svid).toThrow('no X509-SVID of this process was picked');
    source.close();
  });

  it('lets one broken listener not keep the others from hearing', async () => {
    const { agent, making } = await x509Source();
    agent.update(context(svid('spiffe://a.test/x')));
    const source = await making;
    const thrown: unknown[] = [];
    const existing = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) => void thrown.push(error.message));
    let heard = 0;
    source.onUpdate(() => {
      throw new Error('mine');
    });
    source.onUpdate(() => void (heard += 1));
    agent.update(context(svid('spiffe://a.test/x')));
    await new Promise((resolve) => setImmediate(resolve));
    for (const listener of existing) process.on('uncaughtException', listener);
    expect({ heard, thrown }).toEqual({ heard: 1, thrown: ['mine'] });
    source.close();
  });
});

describe('createBundleSource', () => {
  it('is ready with both kinds of bundles, and follows both', async () => {
    const [x509, jwt] = [scripted<X509BundleSet>(), scripted<JwtBundles>()];
    const api = { x509Bundles: x509.stream, jwtBundles: jwt.stream } as unknown as WorkloadApi;
    const making = createBundleSource({ api, clock: new ManualClock(NOW) });
    const { bundles } = context(svid('spiffe://a.test/x'));
    x509.update({ bundles, crl: [] });
    jwt.update(new Map());
    const source = await making;
    let changes = 0;
    source.onUpdate(() => void (changes += 1));
    x509.update({ bundles: new Map(), crl: [] });
    jwt.update(new Map());
    expect(changes).toBe(2);
    expect(source.x509Bundles.size).toBe(0);
    source.close();
    expect([x509.followers, jwt.followers]).toEqual([0, 0]);
    expect(() => source.jwtBundles).toThrow('closed');
  });

  it('leaves nothing behind when one of the two is refused', async () => {
    const [x509, jwt] = [scripted<X509BundleSet>(), scripted<JwtBundles>()];
    const api = { x509Bundles: x509.stream, jwtBundles: jwt.stream } as unknown as WorkloadApi;
    const making = createBundleSource({ api, clock: new ManualClock(NOW) });
    jwt.end(new FinialError('unimplemented', 'no JWT here'));
    await expect(making).rejects.toMatchObject({ code: 'unimplemented' });
    expect([x509.followers, jwt.followers]).toEqual([0, 0]);
  });
});
