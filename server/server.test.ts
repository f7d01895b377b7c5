import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../common/clock.ts';
import { parseConfigText } from '../common/config/hcl.ts';
import { object } from '../common/config/schema.ts';
import { FinialError } from '../common/errors.ts';
import { connectTls, connectUnix, type RpcChannel } from '../common/rpc/client.ts';
import { agentService, bundleService, entryService, svidService } from '../common/rpc/services.ts';
import { sqlDataStore } from '../plugins/datastore/sql/sql.ts';
import { serverDiskKeyManager } from '../plugins/key-manager/disk/disk.ts';
import type { ServerNodeAttestor, ServerNodeAttestorHost } from '../plugins/node-attestor/contract.ts';
import { definePlugin } from '../plugins/plugin.ts';
import { parseSpiffeId } from '../spiffe/id.ts';
import { parseCertificate, spiffeIdOf } from '../spiffe/x509/certificate.ts';
import { createCsr } from '../spiffe/x509/csr.ts';
import { generateSigner } from '../spiffe/x509/key.ts';
import { encodeName } from '../spiffe/x509/name.ts';
import { encodePem } from '../spiffe/x509/pem.ts';
import { recordingLogger } from '../test/support/server-api.ts';
import { readServerConfig } from './config.ts';
import { configureServerPlugins } from './plugins.ts';
import { type RunningServer, startServer } from './server.ts';

const agents = agentService();
const bundles = bundleService();
const entries = entryService();
const svids = svidService();

/** Lets in whoever brings a token that was not used before. */
const tokenAttestor = definePlugin({
  type: 'NodeAttestor',
  name: 'token',
  config: object({}),
  create: (_config, { trustDomain }, host: ServerNodeAttestorHost): ServerNodeAttestor => ({
    async attest(payload) {
      const consumed = await host.joinTokens.consume(payload.toString());
      if (consumed === undefined) throw new FinialError('invalid-argument', 'token does not exist');
      const agentId = parseSpiffeId(`spiffe://${trustDomain}/spire/agent/token/${payload.toString()}`);
      return { agentId, selectors: [], canReattest: false };
    },
  }),
});

const builtIns = {
  dataStores: [sqlDataStore],
  keyManagers: [serverDiskKeyManager],
  upstreamAuthorities: [],
  nodeAttestors: [tokenAttestor],
};

let folder: string;
let server: RunningServer | undefined;
const open: RpcChannel[] = [];

const start = async (trustDomain = 'example.org', more = '', bindPort = 0): Promise<RunningServer> => {
  const text = `
    server {
      trust_domain = "${trustDomain}"
      data_dir = "${folder}/data"
      bind_address = "127.0.0.1"
      socket_path = "${folder}/private/api.sock"
      ${more}
    }
    plugins {
      DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${folder}/data/sql.db" } }
      KeyManager "disk" { plugin_data { keys_path = "${folder}/data/keys.json" } }
      NodeAttestor "token" {}
    }`;
  const config = { ...readServerConfig(parseConfigText(text, 'test')), bindPort };
  const plugins = configureServerPlugins(config.plugins, builtIns, () => {
    throw new TypeError('no data files in tests');
  });
  server = await startServer({ config, plugins, clock: systemClock, log: recordingLogger().log });
  return server;
};

const local = (): RpcChannel => {
  const channel = connectUnix(`${folder}/private/api.sock`);
  open.push(channel);
  return channel;
};

const overTls = async (identity: { readonly cert?: string; readonly key?: string } = {}): Promise<RpcChannel> => {
  const { x509_authorities: roots } = await local().call(bundles, 'GetBundle', {});
  const channel = connectTls({
    address: `127.0.0.1:${server?.port}`,
    secureContext: tls.createSecureContext({
      ...identity,
      ca: roots.map(({ asn1 }) => encodePem('CERTIFICATE', asn1)),
      minVersion: 'TLSv1.2',
    }),
    verifyServer: (leaf) => {
      const seen = spiffeIdOf(parseCertificate(leaf));
      return seen === 'spiffe://example.org/spire/server' ? undefined : new Error(`server is ${seen}`);
    },
  });
  open.push(channel);
  return channel;
};

const keyOf = async () => {
  const signer = await generateSigner('ec-p256');
  return {
    csr: await createCsr({ signer, subject: encodeName({}), uris: [] }),
    key: signer.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
};

const attest = async (token: string) => {
  const { csr, key } = await keyOf();
  const call = (await overTls()).bidi(agents, 'AttestAgent');
  await call.send({ params: { data: { type: 'token', payload: Buffer.from(token) }, params: { csr } } });
  for await (const { result } of call.responses) {
    const cert = result?.svid?.cert_chain.map((der) => encodePem('CERTIFICATE', der)).join('\n') ?? '';
    return { cert, key };
  }
  throw new Error('no result');
};

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'finial-server-'));
});

afterEach(async () => {
  for (const channel of open.splice(0)) channel.close();
  await server?.close();
  server = undefined;
  rmSync(folder, { recursive: true });
});

describe('a server', () => {
  it('takes an agent from token to SVID of its workload', async () => {
    await start();
    await local().call(agents, 'CreateJoinToken', { ttl: 60, token: 't' });
    const channel = await overTls(await attest('t'));
    const entry = {
      id: 'e',
      spiffe_id: { trust_domain: 'example.org', path: '/w' },
      parent_id: { trust_domain: 'example.org', path: '/spire/agent/token/t' },
      selectors: [{ type: 'unix', value: 'uid:1' }],
    };
    await local().call(entries, 'BatchCreateEntry', { entries: [entry] });
    expect((await channel.call(entries, 'GetAuthorizedEntries', {})).entries.map(({ id }) => id)).toEqual(['e']);
    const { csr } = await keyOf();
    const { results } = await channel.call(svids, 'BatchNewX509SVID', { params: [{ entry_id: 'e', csr }] });
    expect(results[0]?.svid?.id?.path).toBe('/w');

    const agent = { id: { trust_domain: 'example.org', path: '/spire/agent/token/t' } };
    await local().call(agents, 'BanAgent', agent);
    await expect(channel.call(entries, 'GetAuthorizedEntries', {})).rejects.toMatchObject({ denial: 'agent-banned' });
    await local().call(agents, 'DeleteAgent', agent);
    await expect(channel.call(entries, 'GetAuthorizedEntries', {})).rejects.toMatchObject({
      denial: 'agent-not-attested',
    });
  });

  it('gives a token to exactly one of many who use it at once', async () => {
    await start('example.org', 'ratelimit { attestation = false }');
    await local().call(agents, 'CreateJoinToken', { ttl: 60, token: 't' });
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => attest('t')));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('lets nobody in whose certificate its bundle does not vouch for', async () => {
    await start();
    await local().call(agents, 'CreateJoinToken', { ttl: 60, token: 't' });
    const stranger = await attest('t');
    await server?.close();
    rmSync(`${folder}/data`, { recursive: true });
    await start();
    const channel = await overTls(stranger);
    await expect(channel.call(bundles, 'GetBundle', {})).rejects.toMatchObject({ code: 'unavailable' });
    await expect((await overTls()).call(entries, 'ListEntries', {})).rejects.toMatchObject({
      code: 'permission-denied',
    });
  });

  it('continues with its authorities after a restart', async () => {
    await start();
    const before = await local().call(bundles, 'GetBundle', {});
    await server?.close();
    await start();
    expect(await local().call(bundles, 'GetBundle', {})).toEqual(before);
  });

  it('opens the admin socket to its own group only', async () => {
    await start();
    expect((statSync(`${folder}/private/api.sock`).mode & 0o777).toString(8)).toBe('770');
    expect((statSync(`${folder}/private`).mode & 0o777).toString(8)).toBe('750');
  });

  it('ends when it is closed, and leaves nothing behind', async () => {
    const running = await start();
    const { port } = running;
    await running.close();
    await expect(running.done).resolves.toBeUndefined();
    await start('example.org', '', port);
    expect(server?.port).toBe(port);
  });

  it('does not start on entries of another trust domain', async () => {
    await start();
    const entry = {
      spiffe_id: { trust_domain: 'example.org', path: '/w' },
      parent_id: { trust_domain: 'example.org', path: '/p' },
      selectors: [{ type: 'unix', value: 'uid:1' }],
    };
    await local().call(entries, 'BatchCreateEntry', { entries: [entry] });
    await server?.close();
    await expect(start('other.org')).rejects.toThrow(
      "a registration entry with trust domain 'example.org' has been detected",
    );
    await expect(start()).resolves.toBeDefined();
  });

  it('says so when its port or socket is taken, and can be started again', async () => {
    const running = await start();
    await expect(start('example.org', `socket_path = "${folder}/private/two.sock"`, running.port)).rejects.toThrow(
      'another process is listening there',
    );
    await expect(start()).rejects.toThrow('another process is serving it');
    server = running;
  });
});
