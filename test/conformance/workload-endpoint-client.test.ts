import { mkdtempSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, vi } from 'vitest';
import { ENDPOINT_VARIABLE, parseEndpoint } from '../../client/endpoint.ts';
import { type WorkloadApi, workloadApi } from '../../client/workload-api.ts';
import { type ErrorCode, FinialError, toFinialError } from '../../common/errors.ts';
import type { X509SVIDResponse } from '../../proto/gen/workload/X509SVIDResponse.ts';
import { rawServer } from '../support/raw-grpc.ts';
import { scratchFolder } from '../support/scratch.ts';
import {
  currentCa,
  impatientClock,
  scriptedAgent,
  scriptedStream,
  type Step,
  x509Svid,
} from '../support/scripted-agent.ts';
import { testEntry, workloadApiFixture } from '../support/workload-api.ts';
import { row } from './row.ts';

// What our client does. What our agent does: workload-endpoint.test.ts.

const ID = 'spiffe://example.org/w';
const good: X509SVIDResponse = { svids: [x509Svid(currentCa(), ID)] };
const scratch = scratchFolder();
const newSocket = (): string => path.join(mkdtempSync(path.join(scratch, 'e')), 'api.sock');

afterEach(() => vi.unstubAllEnvs());

/** Watches until the first update; says how often it was asked for, and how long the waits were. */
async function watched(steps: readonly (readonly Step<X509SVIDResponse>[])[]) {
  await using agent = await scriptedAgent({ FetchX509SVID: scriptedStream(...steps) });
  const errors: string[] = [];
  const end = await firstUpdate(agent.api, errors);
  return { end, errors, calls: agent.calls.length, waits: agent.clock.waits.map(Math.round) };
}

/** The ID in the first update, or the code of the error that ended the stream for good. */
async function firstUpdate(api: WorkloadApi, errors: string[] = []): Promise<string> {
  try {
    for await (const { svids } of api.x509.watch({ onError: ({ code }) => void errors.push(code) })) return svids[0].id;
    return 'ended';
  } catch (error) {
    return toFinialError(error).code;
  }
}

const fails = (code: ErrorCode, times: number): readonly FinialError[][] =>
  Array.from({ length: times }, () => [new FinialError(code, 'scripted')]);

describe('how it speaks', () => {
  row('EP-04').shows('our client gets its identity from our agent', async () => {
    const agent = await workloadApiFixture();
    agent.setEntries([testEntry('a', ['u:1'])]);
    agent.sign();
    using api = workloadApi({ address: `unix://${agent.socketPath}` });
    expect(await firstUpdate(api)).toBe('spiffe://example.org/a');
    await agent.close();
  });

  row('EP-07').shows('each of the seven calls has the header, and so has each further attempt', async () => {
    const socketPath = newSocket();
    const [unavailable, unimplemented] = [14, 12];
    await using server = await rawServer(socketPath, (call) => (call <= 3 ? unavailable : unimplemented));
    using api = workloadApi({ address: `unix://${socketPath}`, clock: impatientClock(), wit: true });
    await expect(firstUpdate(api)).resolves.toBe('unimplemented');
    const refused = { code: 'unimplemented' };
    for (const stream of [api.x509Bundles, api.jwtBundles, api.witSvids, api.witBundles]) {
      await expect(stream.fetch()).rejects.toMatchObject(refused);
    }
    await expect(api.fetchJwtSvids({ audience: ['a'] })).rejects.toMatchObject(refused);
    await expect(api.validateJwtSvid('t', 'a')).rejects.toMatchObject(refused);
    expect(new Set(server.calls.map((one) => one.path)).size).toBe(7);
    expect(server.calls).toHaveLength(10);
    expect(server.calls.map(({ headers }) => headers['workload.spiffe.io'])).toEqual(Array(10).fill('true'));
  });

  row('EP-33').shows('nothing but the Workload API is called, before or after anything', async () => {
    const socketPath = newSocket();
    await using server = await rawServer(socketPath, () => 12);
    using api = workloadApi({ address: `unix://${socketPath}`, clock: impatientClock() });
    expect(await firstUpdate(api)).toBe('unimplemented');
    await expect(api.fetchJwtSvids({ audience: ['a'] })).rejects.toMatchObject({ code: 'unimplemented' });
    expect(server.calls.map((one) => one.path)).toEqual([
      '/SpiffeWorkloadAPI/FetchX509SVID',
      '/SpiffeWorkloadAPI/FetchJWTSVID',
    ]);
  });
});

describe('where it connects', () => {
  row('EP-12').shows('to the address given, and to that of the environment', async () => {
    await using agent = await scriptedAgent({ FetchX509SVID: scriptedStream([good]) });
    using given = workloadApi({ address: agent.address });
    expect(await firstUpdate(given)).toBe(ID);
    vi.stubEnv(ENDPOINT_VARIABLE, agent.address);
    using fromEnvironment = workloadApi();
    expect(await firstUpdate(fromEnvironment)).toBe(ID);
  });

  row('EP-13')
    .shows('the address given comes before that of the environment', async () => {
      vi.stubEnv(ENDPOINT_VARIABLE, `unix://${newSocket()}`);
      await using agent = await scriptedAgent({ FetchX509SVID: scriptedStream([good]) });
      using api = workloadApi({ address: agent.address });
      expect((await api.x509.fetch()).svids[0].id).toBe(ID);
    })
    .refuses(
      'neither of them',
      () => {
        vi.stubEnv(ENDPOINT_VARIABLE, undefined);
        return workloadApi();
      },
      /no Workload API address: pass one or set SPIFFE_ENDPOINT_SOCKET/,
    )
    .refuses(
      'what the environment says when it is no address',
      () => {
        vi.stubEnv(ENDPOINT_VARIABLE, '/run/a.sock');
        return workloadApi();
      },
      /is not a URI/,
    );

  const parse = (address: string) => () => parseEndpoint(address);
  row('EP-14')
    .accepts('unix:', parse('unix:///a.sock'))
    .accepts('tcp:', parse('tcp://127.0.0.1:1'))
    .refuses('http:', parse('http://127.0.0.1:1'), /must have the scheme unix or tcp/)
    .refuses('a path', parse('/a.sock'), /is not a URI/);
  row('EP-15')
    .accepts('an empty authority', parse('unix:///a.sock'))
    .refuses('any other', parse('unix://foo/bar'), /must not have an authority/);
  row('EP-16')
    .accepts('an absolute path', parse('unix:/a.sock'))
    .refuses('a relative one', parse('unix:a.sock'), /must have an absolute path/)
    .refuses('the root folder', parse('unix:///'), /must name a socket/)
    .refuses('none', parse('unix:'), /must have a path/);
  row('EP-17')
    .accepts('a path alone', parse('unix:///a'))
    .refuses('a query', parse('unix:///a?x'), /must not have a query/)
    .refuses('a fragment', parse('unix:///a#x'), /must not have a fragment/)
    .refuses('user information', parse('unix://u@/a'), /must not have user information/);
  row('EP-18')
    .accepts('IPv4', parse('tcp://127.0.0.1:80'))
    .accepts('IPv6', parse('tcp://[::1]:80'))
    .refuses('a name', parse('tcp://localhost:80'), /must have an IP address as its host/);
  row('EP-19')
    .accepts('a port', parse('tcp://127.0.0.1:80'))
    .refuses('none', parse('tcp://127.0.0.1'), /must have a port/);
  row('EP-20')
    .accepts('host and port alone', parse('tcp://127.0.0.1:8000'))
    .refuses('a path', parse('tcp://127.0.0.1:8000/foo'), /must not have a path/)
    .refuses('a slash', parse('tcp://127.0.0.1:8000/'), /must not have a path/)
    .refuses('a query', parse('tcp://127.0.0.1:8000?x'), /must not have a query/)
    .refuses('user information', parse('tcp://u@127.0.0.1:8000'), /must not have user information/);
});

describe('when it tries again', () => {
  row('EP-24').shows('never after InvalidArgument', async () => {
    expect(await watched([...fails('invalid-argument', 1), [good]])).toEqual({
      ...{ end: 'invalid-argument', errors: ['invalid-argument'], calls: 1, waits: [] },
    });
  });

  row('EP-26')
    .shows('ever more slowly after Unavailable, until there is an answer', async () => {
      expect(await watched([...fails('unavailable', 5), [good]])).toEqual({
        ...{ end: ID, errors: Array(5).fill('unavailable'), calls: 6, waits: [200, 340, 578, 983, 1670] },
      });
    })
    .shows('ever more slowly while nobody listens', async () => {
      const clock = impatientClock();
      using api = workloadApi({ address: `unix://${newSocket()}`, clock, random: () => 0.5 });
      const errors: string[] = [];
      const stop = new AbortController();
      const onError = ({ code }: FinialError): void => {
        errors.push(code);
        if (errors.length === 4) stop.abort();
      };
      for await (const _update of api.x509.watch({ onError, signal: stop.signal })) expect.fail('nobody listens');
      expect(errors).toEqual(Array(4).fill('unavailable'));
      expect(clock.waits.map(Math.round)).toEqual([200, 340, 578]);
    });

  row('EP-28').shows('ever more slowly after PermissionDenied, until there is an answer', async () => {
    expect(await watched([...fails('permission-denied', 3), [good]])).toMatchObject({
      ...{ end: ID, errors: Array(3).fill('permission-denied'), calls: 4, waits: [200, 340, 578] },
    });
  });

  row('EP-29').shows('never after Unimplemented', async () => {
    expect(await watched([...fails('unimplemented', 1), [good]])).toMatchObject({ end: 'unimplemented', calls: 1 });
  });
});
