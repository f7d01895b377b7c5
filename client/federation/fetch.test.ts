import net from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../common/clock.ts';
import { federatedDomain } from '../../test/support/bundle-endpoint.ts';
import { createTestAuthority } from '../testing/authority.ts';
import { fetchBundle, type FetchRecord } from './fetch.ts';
import { serveBundle } from './serve.ts';

const b = await federatedDomain();
const { endpoint, authority, spiffe, web } = b;
const profiles = [
  ['https_web', web],
  ['https_spiffe', spiffe],
] as const;

afterEach(() => endpoint.answer(authority.bundle));

describe.each(profiles)('fetchBundle by %s', (profile, config) => {
  it('gives the bundle and what its document said', async () => {
    const records: FetchRecord[] = [];
    const read = await fetchBundle(config, { onFetch: (record) => records.push(record) });
    expect(read).toMatchObject({ skipped: [], hasSequenceNumber: true, hasRefreshHint: false });
    expect(read.bundle.x509Authorities).toEqual(authority.bundle.x509Authorities);
    const endpointId = profile === 'https_spiffe' ? b.endpointId : undefined;
    expect(records).toEqual([{ trustDomain: 'b.test', url: endpoint.url, redirects: [], profile, endpointId }]);
  });

  it('says why it failed, to the caller and to the log', async () => {
    const records: FetchRecord[] = [];
    endpoint.answer({ status: 302, location: '/else' }, { status: 503 });
    const failed = { code: 'unavailable', message: 'the bundle endpoint answered with status 503' };
    const fetched = fetchBundle(config, { onFetch: (record) => records.push(record) });
    await expect(fetched).rejects.toMatchObject(failed);
    expect(records).toMatchObject([{ profile, redirects: [`${endpoint.url}else`], error: failed }]);
  });

  it.each([
    ['a document that is none', { status: 200, body: 'not json' }, 'data-loss', /malformed/],
    ['a document with a byte order mark', { status: 200, body: '\uFEFF{"keys":[]}' }, 'data-loss', /malformed/],
    ['an encoding that was not asked for', { status: 200, encoding: 'gzip' }, 'unavailable', /encoding/],
    ['a redirect without a target', { status: 302 }, 'unavailable', /status 302/],
    ['a status that is not 200', { status: 204 }, 'unavailable', /status 204/],
    ['a body that breaks off', 'break', 'unavailable', /broke off/],
  ] as const)('refuses %s', async (_what, answer, code, message) => {
    endpoint.answer(answer);
    await expect(fetchBundle(config)).rejects.toMatchObject({ code, message });
  });

  it('reads no more than it is allowed to', async () => {
    endpoint.answer({ status: 200, body: `{"keys":[]${' '.repeat(100)}}` });
    expect((await fetchBundle(config, { maxBytes: 111 })).bundle.x509Authorities).toEqual([]);
    const larger = fetchBundle(config, { maxBytes: 110 });
    await expect(larger).rejects.toMatchObject({ code: 'resource-exhausted', message: /larger than 110 bytes/ });
    endpoint.answer({ status: 200, body: `{"keys":[]${' '.repeat(4 * 1024 * 1024)}}` });
    await expect(fetchBundle(config, { maxBytes: Infinity })).rejects.toThrow('larger than 4194304 bytes');
  });

  it('waits no longer than it is allowed to, for an answer or for a handshake', async () => {
    const clock = new ManualClock(Date.now());
    endpoint.answer('silence');
    const silent = net.createServer(() => undefined).listen(0, 'localhost');
    await once(silent, 'listening');
    const { port } = silent.address() as net.AddressInfo;
    const asked = async (): Promise<void> => {
      const before = endpoint.requests.length;
      while (endpoint.requests.length === before) await new Promise((resolve) => setImmediate(resolve));
    };
    for (const [url, begun] of [
      [endpoint.url, asked()],
      [`https://localhost:${port}/`, once(silent, 'connection')],
    ] as const) {
      const fetched = fetchBundle({ ...config, url }, { clock, timeoutMs: 20_000 });
      fetched.catch(() => undefined);
      await begun;
      await clock.advance(20_000);
      await expect(fetched).rejects.toMatchObject({ code: 'deadline-exceeded', message: 'no bundle within 20 s' });
    }
    silent.close();
    expect(clock.sleeping).toBe(0);
  });

  it('can be given up before and meanwhile', async () => {
    endpoint.answer('silence');
    const stop = new AbortController();
    const before = endpoint.requests.length;
    const fetched = fetchBundle(config, { signal: stop.signal });
    fetched.catch(() => undefined);
    while (endpoint.requests.length === before) await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await expect(fetched).rejects.toMatchObject({ code: 'cancelled' });
    await expect(fetchBundle(config, { signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' });
    expect(endpoint.requests.length).toBe(before + 1);
  });

  it('tells a host that is not there from one that is the wrong one', async () => {
    const gone = net.createServer().listen(0, 'localhost');
    await once(gone, 'listening');
    const { port } = gone.address() as net.AddressInfo;
    gone.close();
    await once(gone, 'close');
    const fetched = fetchBundle({ ...config, url: `https://localhost:${port}/` });
    await expect(fetched).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('stops following redirects at the limit', async () => {
    endpoint.answer({ status: 307, location: '/again' });
    const before = endpoint.requests.length;
    await expect(fetchBundle(config, { maxRedirects: 2 })).rejects.toThrow('redirects more than 2 times');
    expect(endpoint.requests.length).toBe(before + 3);
    await expect(fetchBundle(config)).rejects.toThrow('redirects more than 10 times');
  });

  it('asks plainly, and shows nobody a certificate', async () => {
    await fetchBundle({ ...config, url: `${endpoint.url}some/path?query=1` });
    const request = endpoint.requests.at(-1);
    expect(request).toMatchObject({ method: 'GET', url: '/some/path?query=1' });
    expect(request?.headers).toEqual({
      ...{ accept: 'application/json', 'accept-encoding': 'identity', connection: 'close' },
      host: new URL(endpoint.url).host,
    });
  });
});

describe('the web profile', () => {
  it('trusts public authorities unless told otherwise, and nobody when told so', async () => {
    for (const ca of [undefined, [], [(await createTestAuthority('c.test')).bundle].map(() => '\n')]) {
      const fetched = fetchBundle({ ...web, profile: { type: 'https_web', ...(ca === undefined ? {} : { ca }) } });
      await expect(fetched).rejects.toMatchObject({ code: 'unauthenticated' });
    }
    const empty = fetchBundle({ ...web, profile: { type: 'https_web', ca: '' } });
    await expect(empty).rejects.toMatchObject({ code: 'invalid-argument', message: /an authority in ca is empty/ });
  });

  it('is not swayed by the variable that turns verification off', async () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      const fetched = fetchBundle({ ...web, profile: { type: 'https_web' } });
      await expect(fetched).rejects.toMatchObject({ code: 'unauthenticated' });
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    }
  });
});

describe('the SPIFFE profile', () => {
  it('refuses an SVID that has expired by the clock it is given', async () => {
    const late = new ManualClock(Date.now() + 2 * 3600 * 1000);
    await expect(fetchBundle(spiffe, { clock: late })).rejects.toMatchObject({
      code: 'unauthenticated',
      message: /expired/,
    });
  });

  it('connects to IP addresses as well, whatever names the SVID has', async () => {
    const svid = await authority.issueX509(b.endpointId);
    await using server = await serveBundle(() => authority.bundle, {
      ...{ host: '127.0.0.1', port: 0 },
      profile: { type: 'https_spiffe', source: { svid } },
    });
    const read = await fetchBundle(b.with({ url: `https://127.0.0.1:${server.port}` }));
    expect(read.bundle.trustDomain).toBe('b.test');
  });
});
