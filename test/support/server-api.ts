import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ManualClock } from '../../common/clock.ts';
import { parseConfigText } from '../../common/config/hcl.ts';
import { decode, object } from '../../common/config/schema.ts';
import { CloseStack } from '../../common/lifecycle.ts';
import type { LogFields, Logger } from '../../common/log/logger.ts';
import type { Peer } from '../../common/rpc/call.ts';
import { connectUnix, type RpcChannel } from '../../common/rpc/client.ts';
import { createRpcServer } from '../../common/rpc/server.ts';
import { pluginBlocks } from '../../plugins/catalog.ts';
import type { DataStore } from '../../plugins/datastore/sql/contract.ts';
import { sqlDataStore } from '../../plugins/datastore/sql/sql.ts';
import { memoryKeyManager } from '../../plugins/key-manager/memory/memory.ts';
import type { ServerNodeAttestor } from '../../plugins/node-attestor/contract.ts';
import { parseSpiffeId, type SpiffeId } from '../../spiffe/id.ts';
import type { Entry } from '../../spiffe/registration/entry.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { apiInterceptors } from '../../server/api/interceptors.ts';
import { apiServices } from '../../server/api/services.ts';
import { openLocalBundle } from '../../server/bundle/local-bundle.ts';
import { startAuthorities } from '../../server/ca/authorities.ts';
import { type EntryIndex, openEntryIndex } from '../../server/entries/entry-index.ts';
import { issuerOf } from '../../server/issuance/issue.ts';
import { configureServerPlugins, openServerPlugins } from '../../server/plugins.ts';

/** The API of a server over a real SQLite database in memory, called through sockets by whatever peers a test wants. */
export interface Harness {
  readonly clock: ManualClock;
  readonly store: DataStore;
  readonly index: EntryIndex;
  readonly lines: LogLine[];
  /** A channel whose calls come from `peer`. */
  as(peer: Peer): Promise<RpcChannel>;
  close(): Promise<void>;
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

export interface HarnessOptions {
  readonly adminIds?: readonly SpiffeId[];
  readonly attestors?: ReadonlyMap<string, ServerNodeAttestor>;
  readonly auditLog?: boolean;
  readonly rateLimit?: { readonly attestation: boolean; readonly signing: boolean };
  readonly jwtDisabled?: boolean;
  readonly agentIdAsSelector?: boolean;
}

export const trustDomain = parseTrustDomain('example.org');
export const id = (pathOrId: string): SpiffeId =>
  parseSpiffeId(pathOrId.startsWith('/') ? `spiffe://example.org${pathOrId}` : pathOrId);

export const localPeer: Peer = { transport: 'unix', process: undefined };

const NEVER = Number.MAX_SAFE_INTEGER;

/** A caller over TCP; without an ID anonymous. */
export function remotePeer(
  callerId?: SpiffeId,
  { serialNumber = '1', notAfter = NEVER, address = '192.0.2.1' } = {},
): Peer {
  const certificate = callerId && { id: callerId, chain: [], serialNumber, notAfter };
  return { transport: 'tcp', address, port: 40_000, certificate };
}

const plugins = `
  plugins {
    DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = ":memory:" } }
    KeyManager "memory" { plugin_data {} }
  }`;

export async function openHarness(options: HarnessOptions = {}): Promise<Harness> {
  const { rateLimit = { attestation: true, signing: true } } = options;
  const resources = new CloseStack();
  const clock = new ManualClock();
  const { lines, log } = recordingLogger();
  const base = { trustDomain, clock, log, random: randomBytes };
  const { dataStore: store, keyManager } = await openServerPlugins(testPlugins(), base, resources);
  const { bundles, entries, journals, nodes } = store;
  const localBundle = await openLocalBundle({ ...base, store: bundles });
  const authorities = await startAuthorities({
    ...base,
    ...{ bundles: localBundle.bundles, journals, keyManager },
    config: {
      caTtl: 24 * 3_600_000,
      caKeyType: 'ec-p256',
      jwtKeyType: 'ec-p256',
      caSubject: { country: ['US'], organization: ['SPIFFE'] },
      disableJwtSvids: false,
    },
  });
  resources.use('authorities', authorities);
  const config = { x509SvidTtl: 3_600_000, jwtSvidTtl: 300_000, agentTtl: 3_600_000, jwtIssuer: '' };
  const issuer = issuerOf({ ...base, authorities, config });
  const timing = { reloadInterval: 5000, fullReloadInterval: 86_400_000, eventTimeout: 900_000 };
  const index = resources.use('index', await openEntryIndex({ ...base, entries, nodes, ...timing }));
  const services = apiServices({
    ...base,
    ...{ entries, nodes, bundles: localBundle.bundles, localBundle, index, issuer },
    attestors: options.attestors ?? new Map(),
    joinTokens: store.joinTokens,
    newToken: randomUUID,
    jitter: () => 0.5,
    agentIdAsSelector: options.agentIdAsSelector ?? false,
    jwtDisabled: options.jwtDisabled ?? false,
  });
  const interceptors = apiInterceptors({
    ...base,
    ...{ entries, nodes, rateLimit },
    adminIds: new Set(options.adminIds),
    newRequestId: randomUUID,
    auditLog: options.auditLog ?? false,
  });
  const folder = mkdtempSync(path.join(tmpdir(), 'finial-api-'));
  resources.defer('folder', () => rmSync(folder, { recursive: true }));
  const server = createRpcServer({ services: services.local, interceptors, log });
  let sockets = 0;
  resources.defer('server', () => server.stop(0));
  return {
    ...{ clock, store, index, lines },
    async as(peer) {
      sockets += 1;
      const socketPath = path.join(folder, `${sockets}.sock`);
      const listener = net.createServer((socket) => server.accept(socket, peer));
      await new Promise<void>((resolve) => {
        listener.listen(socketPath, resolve);
      });
      resources.defer('listener', () => void listener.close());
      const channel = connectUnix(socketPath);
      resources.defer('channel', () => channel.close());
      return channel;
    },
    close: () => resources.close(),
  };
}

function testPlugins(): ReturnType<typeof configureServerPlugins> {
  const builtIns = {
    dataStores: [sqlDataStore],
    keyManagers: [memoryKeyManager],
    upstreamAuthorities: [],
    nodeAttestors: [],
  };
  const { plugins: blocks } = decode(object({ plugins: pluginBlocks() }), parseConfigText(plugins, 'test'), '');
  return configureServerPlugins(blocks, builtIns, () => {
    throw new TypeError('no data files in tests');
  });
}

/** Keeps every line that is written through it or its children. */
export function recordingLogger(): { readonly log: Logger; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const logger = (bound: LogFields): Logger => {
    const write =
      (level: string) =>
      (message: string, fields: LogFields = {}): void =>
        void lines.push({ level, message, fields: { ...bound, ...fields } });
    return {
      error: write('error'),
      warn: write('warn'),
      info: write('info'),
      debug: write('debug'),
      trace: write('trace'),
      with: (more) => logger({ ...bound, ...more }),
    };
  };
  return { log: logger({}), lines };
}

/** An entry with sensible fields, to be created. */
export function newEntry(overrides: Partial<Entry> = {}): Omit<Entry, 'id' | 'revisionNumber' | 'createdAt'> {
  return {
    spiffeId: id('/workload'),
    parentId: id('/spire/agent/test/one'),
    selectors: [{ type: 'unix', value: 'uid:1000' }],
    x509SvidTtl: 0,
    jwtSvidTtl: 0,
    federatesWith: [],
    admin: false,
    downstream: false,
    expiresAt: 0,
    dnsNames: [],
    storeSvid: false,
    hint: '',
    ...overrides,
  };
}

/** Attests a node by writing its row. */
export async function addNode(
  store: DataStore,
  agentId: SpiffeId,
  overrides: Partial<Parameters<DataStore['nodes']['attested']>[0]> = {},
): Promise<void> {
  await store.nodes.attested({
    id: agentId,
    attestationType: 'test',
    serialNumber: '1',
    expiresAt: Math.floor(NEVER / 1_000_000),
    canReattest: false,
    selectors: [],
    ...overrides,
  });
}
