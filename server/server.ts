import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '../common/clock.ts';
import { makeDataDir } from '../common/data-dir.ts';
import { FinialError, messageOf } from '../common/errors.ts';
import { createHealth, healthTask } from '../common/health/health.ts';
import { type Closable, CloseStack, type Running, supervise, type Task } from '../common/lifecycle.ts';
import type { Logger } from '../common/log/logger.ts';
import { COMPATIBLE_VERSION } from '../common/version.ts';
import type { DataStore } from '../plugins/datastore/sql/contract.ts';
import { isMemberOf, type SpiffeId, trustDomainOf } from '../spiffe/id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { generateSigner } from '../spiffe/x509/key.ts';
import { apiInterceptors } from './api/interceptors.ts';
import { apiServices } from './api/services.ts';
import { pruneNodes } from './attestation/prune-nodes.ts';
import { openLocalBundle } from './bundle/local-bundle.ts';
import { startAuthorities } from './ca/authorities.ts';
import type { ServerConfig } from './config.ts';
import { openEndpoints } from './endpoints.ts';
import { type EntryIndex, openEntryIndex } from './entries/entry-index.ts';
import { pruneEntries, pruneEvents } from './entries/prune.ts';
import { serverHealthChecks } from './health.ts';
import { startServerIdentity } from './identity/server-identity.ts';
import { issuerOf } from './issuance/issue.ts';
import { openServerPlugins, type RunningPlugins, type ServerPlugins } from './plugins.ts';
import { openPeerVerifier, type PeerVerifier } from './verify-peer.ts';

/** What a server is made from. */
export interface ServerOptions {
  readonly config: ServerConfig;
  readonly plugins: ServerPlugins;
  readonly clock: Clock;
  readonly log: Logger;
  /** Random bytes; the system's unless told. */
  readonly random?: (size: number) => Buffer;
  /** Called once everything is read and before the first call can come in, for work that would hold up calls. */
  readonly beforeServing?: () => void;
}

/** A server at work. */
export interface RunningServer extends Running {
  /** The TCP port it listens on. */
  readonly port: number;
  readonly socketPath: string;
}

/**
 * Starts a server and resolves when both its listeners are open.
 *
 * @throws FinialError when it cannot start; nothing is then left open
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { config, log } = options;
  log.info('Configured', {
    admin_ids: config.adminIds,
    data_dir: config.dataDir,
    launch_log_level: config.log.level,
    version: COMPATIBLE_VERSION,
  });
  for (const warning of config.warnings) log.warn(warning);
  makeDataDir(config.dataDir);
  const resources = new CloseStack();
  try {
    const context = { ...subsystems(options)('catalog'), trustDomain: config.trustDomain };
    const plugins = await openServerPlugins(options.plugins, context, resources);
    await checkTrustDomain(plugins.dataStore, config.trustDomain, log);
    const { port, tasks } = await assemble(options, plugins, resources);
    return { ...supervise(tasks, resources), port, socketPath: config.socketPath };
  } catch (error) {
    await resources.close().catch((late: unknown) => log.error('Could not clean up', { error: messageOf(late) }));
    throw error;
  }
}

/** The object graph. */
async function assemble(
  options: ServerOptions,
  plugins: RunningPlugins,
  resources: CloseStack,
): Promise<{ readonly port: number; readonly tasks: Readonly<Record<string, Task>> }> {
  const { config } = options;
  const { entries, nodes, version } = plugins.dataStore;
  const named = subsystems(options);
  const signing = await openSigning(options, plugins, resources);
  const index = await openEntryIndex({
    ...named('entry_cache'),
    ...config.cache,
    ...{ trustDomain: config.trustDomain, entries, nodes, version },
  });
  resources.use('entry index', index);
  const { bundle, bundles } = signing.localBundle;
  const adminIds = new Set(config.adminIds);
  const peers = await openPeerVerifier({
    ...named('endpoints'),
    ...{ trustDomain: config.trustDomain, bundle, bundles, adminIds },
  });
  options.beforeServing?.();
  const endpoints = await openApi(options, plugins, { ...signing, index, peers, adminIds });
  resources.use('endpoints', endpoints);
  const testKey = (await generateSigner('ec-p256')).publicKey;
  const checks = serverHealthChecks({ ...config, ...signing, bundles, testKey });
  return {
    port: endpoints.port,
    tasks: {
      bundle: signing.localBundle.run,
      authorities: signing.authorities.run,
      identity: signing.identity.run,
      index: index.run,
      peers: peers.run,
      health: watchHealth(options, checks),
      pruneEntries: pruneEntries({ ...named('registration_manager'), entries }),
      pruneEvents: pruneEvents({ ...named('entry_cache'), entries, nodes, olderThan: config.pruneEventsOlderThan }),
      ...pruneNodesTask(options, plugins.dataStore),
    },
  };
}

/** What signs, and what it signs with. */
async function openSigning(
  options: ServerOptions,
  { dataStore, keyManager, upstream }: RunningPlugins,
  resources: CloseStack,
) {
  const { clock, config, random = randomBytes } = options;
  const { trustDomain } = config;
  const named = subsystems(options);
  const localBundle = await openLocalBundle({ ...named('bundle'), store: dataStore.bundles, trustDomain });
  const authorities = await startAuthorities({
    ...named('ca_manager'),
    ...{ trustDomain, random, keyManager, bundles: localBundle.bundles, journals: dataStore.journals },
    ...(upstream && { upstream }),
    config: authoritiesConfig(config),
  });
  resources.use('authorities', authorities);
  const issuer = issuerOf({ trustDomain, clock, random, authorities, config: issuerConfig(config) });
  const identity = await startServerIdentity({
    ...named('svid_rotator'),
    ...{ issuer, bundle: localBundle.bundle, keyType: config.ca.x509KeyType },
  });
  return { localBundle, authorities, issuer, identity };
}

/** Everything that answers calls. */
function openApi(
  options: ServerOptions,
  { dataStore: { entries, joinTokens, nodes }, nodeAttestors: attestors }: RunningPlugins,
  parts: Awaited<ReturnType<typeof openSigning>> & {
    readonly index: EntryIndex;
    readonly peers: PeerVerifier;
    readonly adminIds: ReadonlySet<SpiffeId>;
  },
): Promise<Closable & { readonly port: number }> {
  const { config } = options;
  const { adminIds, identity, index, issuer, localBundle, peers } = parts;
  const api = subsystems(options)('api');
  return openEndpoints({
    ...config,
    ...subsystems(options)('endpoints'),
    trackCallers: config.auditLog,
    identity: identity.identity,
    verifyPeer: peers.verify,
    interceptors: apiInterceptors({
      ...api,
      ...{ adminIds, entries, nodes },
      newRequestId: randomUUID,
      rateLimit: config.rateLimit,
      auditLog: config.auditLog,
    }),
    services: apiServices({
      ...api,
      ...{ attestors, entries, index, issuer, joinTokens, localBundle, nodes },
      trustDomain: config.trustDomain,
      bundles: localBundle.bundles,
      newToken: randomUUID,
      jitter: Math.random,
      agentIdAsSelector: config.agentIdAsSelector,
      jwtDisabled: config.svid.jwtDisabled,
    }),
  });
}

function watchHealth(options: ServerOptions, checks: ReturnType<typeof serverHealthChecks>): Task {
  const { health: probe } = options.config;
  const named = subsystems(options)('health');
  return healthTask(createHealth({ ...named, checks }), probe.listen ? probe : undefined, named.log);
}

function pruneNodesTask(options: ServerOptions, { nodes }: DataStore): Readonly<Record<string, Task>> {
  const rule = options.config.pruneNodes;
  if (rule === undefined) return {};
  return { pruneNodes: pruneNodes({ ...subsystems(options)('node_manager'), ...rule, nodes, random: Math.random }) };
}

/** The clock, and a logger that names the part of the server. */
function subsystems({ clock, log }: ServerOptions): (name: string) => { readonly clock: Clock; readonly log: Logger } {
  return (name) => ({ clock, log: log.with({ subsystem_name: name }) });
}

/** A datastore of another trust domain would give out wrong identities; a node of one only needs a new agent. */
async function checkTrustDomain(store: DataStore, trustDomain: TrustDomain, log: Logger): Promise<void> {
  const page = { size: 1, token: '' };
  const [entry] = (await store.entries.list({ page })).entries;
  if (entry !== undefined && !isMemberOf(entry.spiffeId, trustDomain)) {
    throw new FinialError(
      'failed-precondition',
      `a registration entry with trust domain '${trustDomainOf(entry.spiffeId)}' has been detected, which does not ` +
        `match the configured trust domain of '${trustDomain}'. If you want to change the trust domain, please delete ` +
        'all existing registration entries',
    );
  }
  const [node] = (await store.nodes.list({ page, withSelectors: false })).nodes;
  if (node !== undefined && !isMemberOf(node.id, trustDomain)) {
    log.warn(
      `An attested node with trust domain '${trustDomainOf(node.id)}' has been detected, which does not match the ` +
        `configured trust domain of '${trustDomain}'. Agents may need to be reconfigured to use new trust domain`,
    );
  }
}

function authoritiesConfig({ ca, svid }: ServerConfig): Parameters<typeof startAuthorities>[0]['config'] {
  return {
    caTtl: ca.ttl * 1000,
    caKeyType: ca.x509KeyType,
    jwtKeyType: ca.jwtKeyType,
    caSubject: ca.subject,
    disableJwtSvids: svid.jwtDisabled,
  };
}

function issuerConfig({ svid }: ServerConfig): Parameters<typeof issuerOf>[0]['config'] {
  return {
    x509SvidTtl: svid.x509Ttl * 1000,
    jwtSvidTtl: svid.jwtTtl * 1000,
    agentTtl: svid.agentTtl * 1000,
    jwtIssuer: svid.jwtIssuer,
  };
}
