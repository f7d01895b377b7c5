import { describe, expect } from 'vitest';
import { workloadService } from '../../common/rpc/services.ts';
import { shapesOf } from '../../common/rpc/descriptor.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import {
  next,
  openers,
  openX509,
  testEntry,
  startedWorkloadApis,
  withTwoIdentities,
  withHeader,
} from '../support/workload-api.ts';
import { row } from './row.ts';

// What our agent does in all profiles, over real sockets. What our client does: workload-api-client.test.ts.

const start = startedWorkloadApis();

const withIdentities = async () => withTwoIdentities(await start(), other);

const other = parseTrustDomain('other.org');

/** The first message of a stream, which then is left. */
async function firstOf<T>(stream: AsyncIterator<T, unknown>): Promise<T> {
  const message = await next(stream);
  await stream.return?.();
  return message;
}

describe('the service', () => {
  row('WAPI-01').shows('all five calls of the X.509 and JWT profiles answer', async () => {
    const { authority, channel, clock } = await withIdentities();
    for (const open of Object.values(openers)) expect(await firstOf<object>(open(channel))).toBeTruthy();
    const call = { audience: ['x'], spiffe_id: '' };
    expect((await channel.call(workloadService(), 'FetchJWTSVID', call, withHeader)).svids).toHaveLength(2);
    const svid = await authority.token({ id: 'spiffe://example.org/a', audience: ['x'], now: clock.now() });
    const judged = await channel.call(workloadService(), 'ValidateJWTSVID', { svid, audience: 'x' }, withHeader);
    expect(judged.spiffe_id).toBe('spiffe://example.org/a');
  });

  row('WAPI-03').shows('the agent lives without the WIT profile: the others answer', async () => {
    const { channel } = await withIdentities();
    const stream = channel.serverStream(workloadService(), 'FetchWITSVID', {}, withHeader)[Symbol.asyncIterator]();
    await expect(stream.next()).rejects.toMatchObject({ code: 'unimplemented' });
    expect((await firstOf(openX509(channel))).svids).toHaveLength(2);
  });

  row('WAPI-04').shows('the messages have the fields of the standard and no more', () => {
    const { messages } = shapesOf('workload.proto');
    const fields = Object.fromEntries(
      Array.from(messages.values())
        .filter(({ name, isMapEntry }) => !name.startsWith('google.') && !isMapEntry)
        .map((message) => [message.name, message.fields.map(({ name }) => name)]),
    );
    expect(fields).toEqual({
      X509SVIDRequest: [],
      X509SVIDResponse: ['svids', 'crl', 'federated_bundles'],
      X509SVID: ['spiffe_id', 'x509_svid', 'x509_svid_key', 'bundle', 'hint'],
      X509BundlesRequest: [],
      X509BundlesResponse: ['crl', 'bundles'],
      JWTSVIDRequest: ['audience', 'spiffe_id'],
      JWTSVIDResponse: ['svids'],
      JWTSVID: ['spiffe_id', 'svid', 'hint'],
      JWTBundlesRequest: [],
      JWTBundlesResponse: ['bundles'],
      ValidateJWTSVIDRequest: ['audience', 'svid'],
      ValidateJWTSVIDResponse: ['spiffe_id', 'claims'],
      WITSVIDRequest: ['spiffe_id'],
      WITSVIDResponse: ['svids'],
      WITSVID: ['spiffe_id', 'wit_svid', 'wit_svid_key', 'hint'],
      WITBundlesRequest: [],
      WITBundlesResponse: ['bundles'],
    });
  });

  row('WAPI-05').shows('the paths on the wire have no package', () => {
    const { methods, name } = workloadService();
    expect(name).toBe('SpiffeWorkloadAPI');
    expect(Object.values(methods).map(({ path }) => path)).toEqual([
      '/SpiffeWorkloadAPI/FetchX509SVID',
      '/SpiffeWorkloadAPI/FetchX509Bundles',
      '/SpiffeWorkloadAPI/FetchJWTSVID',
      '/SpiffeWorkloadAPI/FetchJWTBundles',
      '/SpiffeWorkloadAPI/ValidateJWTSVID',
      '/SpiffeWorkloadAPI/FetchWITSVID',
      '/SpiffeWorkloadAPI/FetchWITBundles',
    ]);
  });

  row('WAPI-06').shows('two callers get their own identities', async () => {
    const { channel, state } = await withIdentities();
    const ids = async () => (await firstOf(openX509(channel))).svids.map((one) => one.spiffe_id);
    expect(await ids()).toEqual(['spiffe://example.org/a', 'spiffe://example.org/b']);
    state.selectors = ['u:2'];
    expect(await ids()).toEqual(['spiffe://example.org/c']);
  });
});

describe('streams', () => {
  row('WAPI-09').shows('a message after a change holds what did not change as well', async () => {
    const { channel, setEntries, sign } = await start();
    setEntries([testEntry('a', ['u:1'])]);
    sign();
    const stream = openX509(channel);
    const first = await next(stream);
    const second = next(stream);
    setEntries([testEntry('a', ['u:1']), testEntry('b', ['u:1'])]);
    sign('b');
    const { svids } = await second;
    expect(svids.map((one) => one.spiffe_id)).toEqual(['spiffe://example.org/a', 'spiffe://example.org/b']);
    expect(svids[0]).toEqual(first.svids[0]);
    await stream.return?.();
  });

  row('WAPI-10').shows('time alone brings no message, a rotation brings one', async () => {
    const { channel, clock, setEntries, sign } = await start();
    setEntries([testEntry('a', ['u:1'])]);
    sign();
    const stream = openX509(channel);
    const first = await next(stream);
    let messages = 0;
    const second = next(stream).finally(() => void (messages += 1));
    await clock.advance(3_600_000);
    expect(messages).toBe(0);
    sign();
    expect((await second).svids[0]?.x509_svid).not.toEqual(first.svids[0]?.x509_svid);
    await stream.return?.();
  });

  row('WAPI-11').shows('every request is answered though nothing changes', async () => {
    const { channel } = await withIdentities();
    for (const open of Object.values(openers)) {
      const answers = [await firstOf<object>(open(channel)), await firstOf<object>(open(channel))];
      expect(answers[0]).toEqual(answers[1]);
    }
  });

  row('WAPI-12').shows('the first message waits for no time to pass', async () => {
    // The clock stands still: an answer that waited for it would never come.
    const { channel, clock } = await withIdentities();
    for (const open of Object.values(openers)) expect(await firstOf<object>(open(channel))).toBeTruthy();
    expect(clock.steady()).toBe(0);
  });
});

describe('the WIT profile', () => {
  for (const method of ['FetchWITSVID', 'FetchWITBundles'] as const) {
    row('WAPI-67').shows(`${method} is not implemented`, async () => {
      const { channel } = await withIdentities();
      const stream = channel.serverStream(workloadService(), method, {}, withHeader)[Symbol.asyncIterator]();
      await expect(stream.next()).rejects.toMatchObject({ code: 'unimplemented' });
    });
  }
});
