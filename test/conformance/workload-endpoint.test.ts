import { lstatSync, mkdtempSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect } from 'vitest';
import { requireSecurityHeader } from '../../agent/api/workload/security-header.ts';
import { readAgentConfig } from '../../agent/config.ts';
import { openEndpoints } from '../../agent/endpoints.ts';
import { parseConfigText } from '../../common/config/hcl.ts';
import { silentLogger } from '../../common/log/logger.ts';
import type { Peer } from '../../common/rpc/call.ts';
import { connectUnix } from '../../common/rpc/client.ts';
import { implement, unary } from '../../common/rpc/service.ts';
import { implementReflection } from '../../common/rpc/reflection.ts';
import { healthService, reflectionService, workloadService } from '../../common/rpc/services.ts';
import { rawCall } from '../support/raw-grpc.ts';
import { rpcPair } from '../support/rpc-pair.ts';
import { scratchFolder } from '../support/scratch.ts';
import {
  openers,
  openX509,
  next,
  testEntry,
  type WorkloadApiFixture,
  workloadApiFixture,
  withHeader,
} from '../support/workload-api.ts';
import { row } from './row.ts';

// What our agent does. What our client does: workload-endpoint-client.test.ts.

const fixtures: WorkloadApiFixture[] = [];
async function start(): Promise<WorkloadApiFixture> {
  const fixture = await workloadApiFixture();
  fixtures.push(fixture);
  return fixture;
}
afterEach(() => Promise.all(fixtures.splice(0).map((one) => one.close())));

async function withIdentity(): Promise<WorkloadApiFixture> {
  const agent = await start();
  agent.setEntries([testEntry('a', ['u:1'])]);
  agent.sign();
  return agent;
}

/** The configuration of an agent that says no more than it must, besides `more`. */
const configured = (more = '') =>
  readAgentConfig(
    parseConfigText(
      `agent { server_address = "s" server_port = 1 trust_domain = "example.org" trust_bundle_path = "/b" ${more} }
       plugins { NodeAttestor "join_token" {} }`,
      'agent.conf',
    ),
  );

const scratch = scratchFolder();

/** The public endpoint on a real socket, with a service that remembers who called. */
async function endpoint() {
  const folder = mkdtempSync(path.join(scratch, 'e'));
  const socketPath = path.join(folder, 'api.sock');
  const peers: Peer[] = [];
  const service = implement(workloadService(), {
    FetchJWTSVID: unary(async (_request, { peer }) => {
      peers.push(peer);
      return { svids: [] };
    }),
  });
  const listening = await openEndpoints({ socketPath, services: [service], interceptors: [], log: silentLogger });
  return { folder, socketPath, peers, [Symbol.asyncDispose]: async () => listening.close() };
}

const FETCH_X509 = '/SpiffeWorkloadAPI/FetchX509SVID';
const FETCH_JWT = '/SpiffeWorkloadAPI/FetchJWTSVID';
/** `audience: "a"` as protobuf. */
const JWT_REQUEST = Buffer.from([0x0a, 1, 0x61]);
const header = { 'workload.spiffe.io': 'true' };

describe('where it listens', () => {
  row('EP-01').shows('by default on a Unix socket of this node', async () => {
    expect(configured().socketPath).toBe('/tmp/spire-agent/public/api.sock');
    await using public_ = await endpoint();
    expect(lstatSync(public_.socketPath).isSocket()).toBe(true);
  });
  row('EP-02').shows(
    'one agent serves the processes of one kernel: it opens a Unix socket and nothing else',
    async () => {
      await using public_ = await endpoint();
      expect(readdirSync(public_.folder)).toEqual(['api.sock']);
      expect(await listeningPorts()).toEqual([]);
    },
  );
  row('EP-05').shows('a Unix socket is what the configuration names', () => {
    expect(configured('socket_path = "/run/api.sock"').socketPath).toBe('/run/api.sock');
  });
  row('EP-06').shows('no setting opens a TCP port', () => {
    for (const setting of ['bind_address = "0.0.0.0"', 'bind_port = 8080', 'tcp_socket_port = 8080']) {
      expect(() => configured(setting)).toThrow('unknown');
    }
  });
});

describe('how it speaks', () => {
  row('EP-03').shows('gRPC as anybody writes it: HTTP/2, frames, a status', async () => {
    const { socketPath } = await withIdentity();
    const { first } = await rawCall(socketPath, FETCH_JWT, header, JWT_REQUEST);
    expect(first?.toString('latin1')).toContain('spiffe://example.org/a');
  });
  row('EP-11').shows('plaintext HTTP/2 works, with any authority', async () => {
    const { socketPath } = await withIdentity();
    const { first } = await rawCall(socketPath, FETCH_X509, { ...header, ':authority': 'localhost' }, Buffer.of());
    expect(first?.toString('latin1')).toContain('spiffe://example.org/a');
  });
  row('EP-30').shows(
    'the service has the calls of the standard and no more, and others are not implemented',
    async () => {
      expect(Object.keys(workloadService().methods).sort()).toEqual([
        'FetchJWTBundles',
        'FetchJWTSVID',
        'FetchWITBundles',
        'FetchWITSVID',
        'FetchX509Bundles',
        'FetchX509SVID',
        'ValidateJWTSVID',
      ]);
      const { socketPath } = await withIdentity();
      const answer = await rawCall(socketPath, '/SpiffeWorkloadAPI/FetchMore', header, Buffer.of());
      expect(answer).toMatchObject({ status: 12, first: undefined });
    },
  );
  row('EP-31').shows('the Workload API answers', async () => {
    const { channel } = await withIdentity();
    expect((await next(openX509(channel))).svids).toHaveLength(1);
  });
});

describe('reflection', () => {
  row('EP-32').shows('lists the Workload API, and asks for no security header, as in the reference', async () => {
    const interceptors = [requireSecurityHeader];
    const pair = await rpcPair(implementReflection([workloadService(), healthService()]), { interceptors });
    const call = pair.channel.bidi(reflectionService(), 'ServerReflectionInfo', { timeoutMs: 5000 });
    await call.send({ list_services: '' });
    call.end();
    const names: string[] = [];
    for await (const { list_services_response: list } of call.responses) {
      names.push(...(list?.service ?? []).map(({ name }) => name));
    }
    await pair.close();
    expect(names).toEqual([
      'SpiffeWorkloadAPI',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ]);
  });
});

describe('the security header', () => {
  const call = async (headers: Record<string, string | string[]>) => {
    const { socketPath } = await withIdentity();
    const { first, message } = await rawCall(socketPath, FETCH_JWT, headers, JWT_REQUEST);
    if (first === undefined) throw new Error(message);
  };
  const ep08 = row('EP-08').accepts('true', () => call(header));
  for (const value of ['True', 'TRUE', '1', '', 'false', ['true', 'true']]) {
    const what = JSON.stringify(value);
    ep08.refuses(what, () => call({ 'workload.spiffe.io': value }), /security header missing/);
  }
  row('EP-09').refuses('a call without it', () => call({}), /security header missing from request/);
  row('EP-09').shows('nobody looks at the caller then', async () => {
    const { socketPath, state, log } = await withIdentity();
    state.attestorFails = true;
    expect(await rawCall(socketPath, FETCH_X509, {}, Buffer.of())).toMatchObject({ status: 3 });
    expect(log).toEqual([]);
  });
  row('EP-10').shows('the status is InvalidArgument, of calls and of streams', async () => {
    const { socketPath } = await withIdentity();
    for (const method of Object.values(workloadService().methods)) {
      const answer = await rawCall(socketPath, method.path, {}, Buffer.of());
      expect(answer).toMatchObject({ status: 3, first: undefined });
    }
  });
});

describe('the caller', () => {
  row('EP-21').shows('needs neither token nor certificate to connect', async () => {
    await using public_ = await endpoint();
    expect(await rawCall(public_.socketPath, FETCH_JWT, header, JWT_REQUEST)).toMatchObject({ first: Buffer.of() });
  });
  row('EP-22').shows('is known by what the kernel says of its socket', async () => {
    await using public_ = await endpoint();
    const channel = connectUnix(public_.socketPath);
    await channel.call(workloadService(), 'FetchJWTSVID', { audience: ['a'] }, withHeader);
    channel.close();
    const [peer] = public_.peers;
    const { pid, uid, gid } = (peer?.transport === 'unix' && peer.process) || expect.fail();
    expect([pid, uid, gid]).toEqual([process.pid, process.getuid?.(), process.getgid?.()]);
  });
  row('EP-23').shows('says nothing of itself, and gets its identity', async () => {
    const { socketPath } = await withIdentity();
    const { first } = await rawCall(socketPath, FETCH_X509, header, Buffer.of());
    expect(first?.toString('latin1')).toContain('spiffe://example.org/a');
  });
  row('EP-27').shows('hears PermissionDenied when it has no identity', async () => {
    const { socketPath } = await start();
    const answers = [FETCH_X509, '/SpiffeWorkloadAPI/FetchX509Bundles', '/SpiffeWorkloadAPI/FetchJWTBundles'].map(
      (one) => rawCall(socketPath, one, header, Buffer.of()),
    );
    for (const answer of [...(await Promise.all(answers)), await rawCall(socketPath, FETCH_JWT, header, JWT_REQUEST)]) {
      expect(answer).toMatchObject({ status: 7, message: 'no identity issued', first: undefined });
    }
  });
  row('EP-25')
    .shows('hears Unavailable while the bundle is not known yet', async () => {
      const { authority, setEntries, sign, socketPath } = await start();
      setEntries([testEntry('a', ['u:1'])], { ...authority.bundle, x509Authorities: [] });
      sign();
      expect(await rawCall(socketPath, FETCH_X509, header, Buffer.of())).toMatchObject({ status: 14 });
    })
    .shows('hears Unavailable while nobody can tell who it is', async () => {
      const { socketPath, state } = await withIdentity();
      state.attestorFails = true;
      expect(await rawCall(socketPath, FETCH_X509, header, Buffer.of())).toMatchObject({ status: 14 });
    })
    .shows('hears Unavailable on every stream when the agent stops', async () => {
      const { channel, stop } = await withIdentity();
      const streams = Object.values(openers).map((open) => open(channel));
      for (const stream of streams) await stream.next();
      const ends = streams.map((stream) => expect(stream.next()).rejects.toMatchObject({ code: 'unavailable' }));
      await stop(0);
      await Promise.all(ends);
    });
});

/** TCP ports on which this process listens. */
async function listeningPorts(): Promise<readonly unknown[]> {
  return process.getActiveResourcesInfo().filter((one) => one === 'TCPServerWrap');
}
