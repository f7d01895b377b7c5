import { backoffDelay, exponential } from '../common/backoff.ts';
import type { Clock } from '../common/clock.ts';
import { makeDataDir } from '../common/data-dir.ts';
import { FinialError, messageOf, withContext } from '../common/errors.ts';
import { createHealth, healthTask } from '../common/health/health.ts';
import { CloseStack, type Running, supervise, type Task } from '../common/lifecycle.ts';
import type { Logger } from '../common/log/logger.ts';
import { subject } from '../common/observable.ts';
import { implementReflection } from '../common/rpc/reflection.ts';
import { healthService, workloadService } from '../common/rpc/services.ts';
import { COMPATIBLE_VERSION } from '../common/version.ts';
import { publicHealth } from './api/health.ts';
import { checkWorkloadApi } from './api/self-check.ts';
import type { WorkloadApiDependencies } from './api/workload/dependencies.ts';
import { requireSecurityHeader } from './api/workload/security-header.ts';
import { workloadApi } from './api/workload/service.ts';
import { formatSelector, type Selector } from '../spiffe/selector.ts';
import { attestAgent, type AttestationDependencies, type Attested, rotateIdentity } from './attestation/attest.ts';
import { bootstrapRootsFromFile } from './attestation/bootstrap.ts';
import { createJwtSvidCache } from './cache/jwt-svid-cache.ts';
import { createWorkloadCache } from './cache/workload-cache.ts';
import type { AgentConfig } from './config.ts';
import { openEndpoints } from './endpoints.ts';
import { agentHealth } from './health.ts';
import { type AgentPlugins, openAgentPlugins, type RunningPlugins } from './plugins.ts';
import { attestationClient } from './server-client/attestation-client.ts';
import type { AgentIdentity } from './server-client/contract.ts';
import { serverClient } from './server-client/server-client.ts';
import { type AgentStore, openAgentStore, withoutSvid } from './storage/agent-data.ts';
import type { Sync, SyncDependencies } from './sync/contract.ts';
import { kindOfFailure } from './sync/failure.ts';
import { clockBehind, synchronisation } from './sync/sync.ts';
import { workloadAttestation } from './workload/attestation.ts';

/** What an agent is made from. */
export interface AgentOptions {
  readonly config: AgentConfig;
  readonly plugins: AgentPlugins;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1); spreads load and decides nothing else. */
  readonly random?: () => number;
}

/**
 * Starts an agent and resolves when workloads can connect: it is attested by then and has synchronised once.
 *
 * @param signal gives up starting
 * @throws FinialError when it cannot start; nothing is then left open
 */
export async function startAgent(options: AgentOptions, signal: AbortSignal): Promise<Running> {
  const { config, log, clock } = options;
  log.info('Configured', { data_dir: config.dataDir, trust_domain: config.trustDomain, version: COMPATIBLE_VERSION });
  for (const warning of config.warnings) log.warn(warning);
  makeDataDir(config.dataDir);
  const resources = new CloseStack();
  const background = startHealth(options);
  try {
    const context = { trustDomain: config.trustDomain, clock, log: log.with({ subsystem_name: 'catalog' }) };
    const plugins = await openAgentPlugins(options.plugins, context, { joinToken: config.joinToken }, resources);
    const sync = await assemble(options, plugins, resources, signal);
    background.markStarted();
    return supervise(tasksOf(sync, background), resources, background.stop);
  } catch (error) {
    background.stop.abort();
    await background.health;
    await resources.close().catch((late: unknown) => log.error('Could not clean up', { error: messageOf(late) }));
    throw error;
  }
}

/** The object graph, in the order in which its parts come to life. */
async function assemble(
  options: AgentOptions,
  plugins: RunningPlugins,
  resources: CloseStack,
  signal: AbortSignal,
): Promise<Sync> {
  const { clock, config, log } = options;
  const { random = Math.random } = options;
  const named = (name: string): Logger => log.with({ subsystem_name: name });
  const storage = await openAgentStore(config.dataDir);
  const attestation = attestationDependencies(options, plugins, storage, named('attestor'));
  const attested = await attestAgent(attestation, signal);

  const identity = subject(attested.identity);
  const bundle = subject(attested.bundle);
  const client = serverClient({
    target: { address: config.serverAddress, trustDomain: config.trustDomain },
    identity: () => identity.current,
    roots: () => bundle.current.x509Authorities.map(({ certificate }) => certificate),
    log: named('client'),
  });
  resources.use('server client', client);

  const cache = createWorkloadCache({ bundle: bundle.current, maxSvids: config.x509CacheSize, log: named('manager') });
  const jwtSvids = createJwtSvidCache({
    ...{ client, clock, random },
    maxTokens: config.jwtCacheSize,
    cacheHitTimeoutMs: config.jwtCacheHitTimeout,
    log: named('manager'),
  });
  resources.use('JWT-SVID cache', jwtSvids);
  const sync = synchronisation({
    ...{ client, clock, random, bundle, identity },
    config,
    feed: cache,
    renewIdentity: (current, own) => rotateIdentity({ ...attestation, client }, current, own),
    saveBundle: ({ x509Authorities }) =>
      storage.update((data) => ({ ...data, bundle: x509Authorities.map(({ certificate }) => certificate) })),
    rejected: (kind, error, own) => rejected(attestation, identity.current, kind, error, own),
    dropJwtSvids: (keyIds) => keyIds.forEach((keyId) => jwtSvids.removeSignedBy(keyId)),
    log: named('manager'),
  });
  await postStatus(client, log, signal);
  await initialise(options, sync, { ...attestation, identity: identity.current }, signal);

  await openWorkloadApi(options, plugins, { cache, jwtSvids }, resources);
  return sync;
}

/** Lets workloads in, unless the Workload API is switched off. */
async function openWorkloadApi(
  { clock, config, log }: AgentOptions,
  plugins: RunningPlugins,
  caches: Pick<WorkloadApiDependencies, 'cache' | 'jwtSvids'>,
  resources: CloseStack,
): Promise<void> {
  const { socketPath } = config;
  if (socketPath === undefined) return;
  const named = (name: string): Logger => log.with({ subsystem_name: name });
  const attestor = workloadAttestation({ attestors: plugins.workloadAttestors, log: named('workload_attestor') });
  const api = workloadApi({
    ...{ ...caches, clock, config },
    attest: (peer, signal) => attestor.attest(peer, signal),
    isLoggable: (selector) => isLoggable(selector, config.log.selectors),
    log: named('endpoints'),
  });
  const endpoints = await openEndpoints({
    socketPath,
    clock,
    log: named('endpoints'),
    interceptors: [requireSecurityHeader],
    services: [
      api,
      publicHealth(() => checkWorkloadApi(socketPath)),
      ...implementReflection([workloadService(), healthService()]),
    ],
  });
  resources.use('endpoints', endpoints);
}

/** What runs from the first moment to the last. */
interface Background {
  readonly stop: AbortController;
  /** From now on an API that does not answer is a failure. */
  markStarted(): void;
  /** Settles after `stop`. */
  readonly health: Promise<void>;
}

/** Probes are answered from the start, so that whoever waits for the agent sees "not yet" and not "nobody there". */
function startHealth({ clock, config, log }: AgentOptions): Background {
  const { health: where, socketPath } = config;
  const probe = socketPath === undefined ? undefined : () => checkWorkloadApi(socketPath);
  let started = false;
  const health = createHealth({
    clock,
    log: log.with({ subsystem_name: 'health' }),
    checks: { agent: () => agentHealth(started, probe) },
  });
  const listen = where.listen ? where : undefined;
  const stop = new AbortController();
  return { stop, markStarted: () => void (started = true), health: healthTask(health, listen, log)(stop.signal) };
}

/** The tasks of an agent that has started. */
function tasksOf(sync: Sync, { stop, health }: Background): Readonly<Record<string, Task>> {
  // Runs already; as a task it ends with the others.
  const untilStopped: Task = (signal) => {
    signal.addEventListener('abort', () => stop.abort(), { once: true });
    return health;
  };
  return { sync: sync.run, health: untilStopped };
}

/** `type:value` equal to an allowed prefix, or continuing it behind a colon. */
function isLoggable(selector: Selector, prefixes: readonly string[]): boolean {
  const text = formatSelector(selector);
  return prefixes.some((prefix) => text === prefix || text.startsWith(`${prefix}:`));
}

function attestationDependencies(
  { clock, config, random = Math.random }: AgentOptions,
  { keyManager, nodeAttestor }: RunningPlugins,
  storage: AgentStore,
  log: Logger,
): AttestationDependencies {
  const { serverAddress: address, trustBundle, trustDomain } = config;
  return {
    ...{ clock, keyManager, log, nodeAttestor, random, storage, trustDomain },
    bootstrapRoots: async () => {
      if (trustBundle !== 'insecure') return bootstrapRootsFromFile(trustBundle.path, trustBundle.format, trustDomain);
      log.warn('Insecure bootstrap enabled; skipping server certificate verification');
      return trustBundle;
    },
    connect: (roots, signal) => attestationClient({ address, trustDomain }, roots, signal),
  };
}

/** An older server may not know this call; nothing depends on it. */
async function postStatus(client: ReturnType<typeof serverClient>, log: Logger, signal: AbortSignal): Promise<void> {
  await client.postStatus(COMPATIBLE_VERSION, signal).catch((error: unknown) => {
    log.warn('Failed to post agent status to the server', { error: messageOf(error) });
  });
}

const RETRY = exponential(5000, 120_000);
const GIVE_UP_MS = 60_000;

/** Synchronises for the first time, trying for a minute unless the server will not have this agent. */
async function initialise(
  { clock, log, random = Math.random }: AgentOptions,
  sync: Sync,
  { identity, storage }: Pick<AttestationDependencies, 'storage'> & Pick<Attested, 'identity'>,
  signal: AbortSignal,
): Promise<void> {
  const deadline = clock.steady() + GIVE_UP_MS;
  for (let failures = 0; ; failures += 1) {
    try {
      await sync.once(signal);
      return;
    } catch (error) {
      const kind = kindOfFailure(error);
      if (kind === 'attest' || kind === 'banned') {
        // It would only be refused again after a restart.
        await storage.update(withoutSvid);
        throw error;
      }
      const wait = backoffDelay(RETRY, failures, random);
      if (signal.aborted || clock.steady() + wait > deadline) throw error;
      log.warn('Failed to initialize manager', {
        error: messageOf(error),
        ...clockBehind(identity, clock.now()),
        retry_interval: `${(wait / 1000).toFixed(3)}s`,
      });
      await clock.sleep(wait, signal);
    }
  }
}

/** What follows from a verdict of the server while the agent is running (agent.md 2.5). */
async function rejected(
  attestation: AttestationDependencies,
  current: AgentIdentity,
  kind: Parameters<SyncDependencies['rejected']>[0],
  error: unknown,
  signal: AbortSignal,
): Promise<AgentIdentity> {
  const { log } = attestation;
  if (kind === 'untrusted') throw withContext('failed to sync with SPIRE Server', error);
  await attestation.storage.update(withoutSvid);
  if (kind === 'attest' && current.reattestable) {
    log.warn('Agent needs to re-attest; will attempt to re-attest', { error: messageOf(error) });
    const attested: Attested = await attestAgent(attestation, signal);
    return attested.identity;
  }
  const why =
    kind === 'banned'
      ? 'Agent is banned: removing SVID and shutting down'
      : 'Agent needs to re-attest: removing SVID and shutting down';
  const reason = error instanceof FinialError ? error.denial : undefined;
  log.error(why, { error: messageOf(error), reason, svid_expires_at: new Date(current.notAfter).toISOString() });
  throw error;
}
