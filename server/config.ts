import { formatDuration } from '../common/config/duration.ts';
import { decode, type Infer } from '../common/config/schema.ts';
import {
  type HealthSettings,
  healthSettings,
  type LogSettings,
  logSettings,
  unservedWarnings,
} from '../common/config/sections.ts';
import { type ConfigObject, flagOverrides, withOverrides } from '../common/config/tree.ts';
import { FinialError } from '../common/errors.ts';
import type { PluginBlock } from '../plugins/catalog.ts';
import type { SpiffeId } from '../spiffe/id.ts';
import { adviseTtl, type TtlAdvice } from '../spiffe/rotation.ts';
import type { KeyType } from '../spiffe/signer.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { serverFileSchema } from './config-schema.ts';

/** The configuration of a server, complete and checked. Lifetimes are whole seconds, intervals are milliseconds. */
export interface ServerConfig {
  readonly trustDomain: TrustDomain;
  readonly dataDir: string;
  /** Host name or IP address, IPv6 without brackets. */
  readonly bindAddress: string;
  readonly bindPort: number;
  readonly socketPath: string;
  readonly adminIds: readonly SpiffeId[];
  readonly auditLog: boolean;
  readonly log: LogSettings;
  readonly ca: {
    readonly ttl: number;
    readonly x509KeyType: KeyType;
    readonly jwtKeyType: KeyType;
    readonly subject: {
      readonly country: readonly string[];
      readonly organization: readonly string[];
      readonly commonName: string;
    };
  };
  readonly svid: {
    readonly x509Ttl: number;
    readonly jwtTtl: number;
    readonly agentTtl: number;
    /** The `iss` claim; empty for none. */
    readonly jwtIssuer: string;
    readonly jwtDisabled: boolean;
  };
  readonly rateLimit: { readonly attestation: boolean; readonly signing: boolean };
  /** Agents get the selector `spiffe_id:<their ID>` on attestation. */
  readonly agentIdAsSelector: boolean;
  readonly cache: {
    readonly reloadInterval: number;
    readonly fullReloadInterval: number;
    /** How long an event ID that was skipped may still turn up. */
    readonly eventTimeout: number;
  };
  /** After so many milliseconds other servers must have read the events of changes, which are then deleted. */
  readonly pruneEventsOlderThan: number;
  /** Absent: attested nodes are kept for ever. */
  readonly pruneNodes:
    | {
        /** Seconds past the expiry of the agent's SVID. */
        readonly expiredFor: number;
        readonly batchSize: number;
        readonly includeNonReattestable: boolean;
      }
    | undefined;
  readonly health: HealthSettings;
  readonly plugins: readonly PluginBlock[];
  /** What an operator should hear at start, although the configuration is accepted. */
  readonly warnings: readonly string[];
}

/** Command line flags that win over the file; as in the reference, an empty, 0 or false flag changes nothing. */
export interface ServerFlags {
  readonly bindAddress?: string;
  readonly serverPort?: number;
  readonly dataDir?: string;
  readonly logFile?: string;
  readonly logFormat?: string;
  readonly logLevel?: string;
  readonly logSourceLocation?: boolean;
  readonly socketPath?: string;
  readonly trustDomain?: string;
}

const keyOfFlag: Record<keyof ServerFlags, string> = {
  bindAddress: 'bind_address',
  serverPort: 'bind_port',
  dataDir: 'data_dir',
  logFile: 'log_file',
  logFormat: 'log_format',
  logLevel: 'log_level',
  logSourceLocation: 'log_source_location',
  socketPath: 'socket_path',
  trustDomain: 'trust_domain',
};

type File = Infer<typeof serverFileSchema>;

/**
 * Reads a server's configuration.
 *
 * @param root the parsed file
 * @param flags of the command line
 * @throws FinialError `invalid-argument` with one line per problem
 */
export function readServerConfig(root: ConfigObject, flags: ServerFlags = {}): ServerConfig {
  const overrides = flagOverrides(keyOfFlag, flags);
  const file = decode(serverFileSchema, withOverrides(root, 'server', overrides), '');
  const problems = contradictions(file);
  if (problems.length > 0) throw new FinialError('invalid-argument', problems.join('\n'));
  return toConfig(file);
}

/** What no single key is to blame for. */
function contradictions({ server }: File): string[] {
  const { event_timeout, sql_transaction_timeout, full_cache_reload_interval, cache_reload_interval } =
    server.experimental;
  const problems: string[] = [];
  if (event_timeout !== undefined && sql_transaction_timeout !== undefined) {
    problems.push(
      'server.experimental: both experimental sql_transaction_timeout and event_timeout set, only set event_timeout',
    );
  }
  if (full_cache_reload_interval <= cache_reload_interval) {
    problems.push(
      'server.experimental.full_cache_reload_interval: full cache reload interval must be greater than cache reload interval',
    );
  }
  return problems;
}

function toConfig(file: File): ServerConfig {
  const { server } = file;
  const x509KeyType = server.ca_key_type ?? 'ec-p256';
  const { experimental } = server;
  return {
    trustDomain: server.trust_domain,
    dataDir: server.data_dir,
    bindAddress: server.bind_address.replace(/^\[+|\]+$/g, ''),
    bindPort: server.bind_port,
    socketPath: server.socket_path,
    adminIds: server.admin_ids,
    auditLog: server.audit_log_enabled,
    log: logSettings(server),
    ca: {
      ttl: seconds(server.ca_ttl),
      x509KeyType,
      jwtKeyType: server.jwt_key_type ?? x509KeyType,
      subject: caSubjectOf(server.ca_subject),
    },
    svid: {
      x509Ttl: seconds(server.default_x509_svid_ttl),
      jwtTtl: seconds(server.default_jwt_svid_ttl),
      agentTtl: seconds(server.agent_ttl ?? server.default_x509_svid_ttl),
      jwtIssuer: server.jwt_issuer,
      jwtDisabled: server.disable_jwt_svids,
    },
    rateLimit: server.ratelimit,
    agentIdAsSelector: experimental.agent_spiffe_id_as_selector,
    cache: {
      reloadInterval: experimental.cache_reload_interval,
      fullReloadInterval: experimental.full_cache_reload_interval,
      eventTimeout: experimental.event_timeout ?? experimental.sql_transaction_timeout ?? 900_000,
    },
    pruneEventsOlderThan: experimental.prune_events_older_than,
    pruneNodes: pruneNodesOf(server),
    health: healthSettings(file.health_checks),
    plugins: file.plugins,
    warnings: warningsOf(file),
  };
}

/** SVIDs and rows know whole seconds only. */
function seconds(ms: number): number {
  return Math.max(1, Math.floor(ms / 1000));
}

function caSubjectOf(given: File['server']['ca_subject']): ServerConfig['ca']['subject'] {
  if (given === undefined || isEmptySubject(given))
    return { country: ['US'], organization: ['SPIFFE'], commonName: '' };
  return { country: given.country, organization: given.organization, commonName: given.common_name };
}

function isEmptySubject(given: NonNullable<File['server']['ca_subject']>): boolean {
  return given.country.length === 0 && given.organization.length === 0 && given.common_name === '';
}

function pruneNodesOf(server: File['server']): ServerConfig['pruneNodes'] {
  if (server.prune_attested_nodes_expired_for === undefined) return undefined;
  return {
    expiredFor: seconds(server.prune_attested_nodes_expired_for),
    batchSize: server.prune_attested_nodes_batch_size > 0 ? server.prune_attested_nodes_batch_size : 1000,
    includeNonReattestable: server.prune_tofu_nodes,
  };
}

function warningsOf({ server, telemetry }: File): string[] {
  const warnings = ttlWarnings(server);
  if (server.ca_subject !== undefined && isEmptySubject(server.ca_subject)) {
    warnings.push('ca_subject configurable is set but empty; the default will be used');
  }
  if (server.experimental.sql_transaction_timeout !== undefined) {
    warnings.push('experimental.sql_transaction_timeout is deprecated, use experimental.event_timeout instead');
  }
  const { cache_reload_interval, prune_events_older_than } = server.experimental;
  if (prune_events_older_than < 2 * cache_reload_interval) {
    warnings.push(
      'experimental.prune_events_older_than is less than twice the cache_reload_interval; other servers may miss changes',
    );
  }
  return [...warnings, ...unservedWarnings(server.profiling_enabled, telemetry)];
}

/** SVIDs end with their authority, which is replaced at 5/6 of its life. */
function ttlWarnings({ agent_ttl, ca_ttl, default_jwt_svid_ttl, default_x509_svid_ttl }: File['server']): string[] {
  const ttls = { default_x509_svid_ttl, default_jwt_svid_ttl, agent_ttl: agent_ttl ?? 0 };
  return Object.entries(ttls).flatMap(([key, ttl]) => ttlWarning(key, adviseTtl(ca_ttl, ttl)) ?? []);
}

function ttlWarning(key: string, advice: TtlAdvice): string | undefined {
  const shorter = 'SVIDs with shorter lifetimes may be issued';
  switch (advice.kind) {
    case 'fits':
      return undefined;
    case 'lower-svid-or-raise-ca':
      return (
        `${key} is too high for the configured ca_ttl value; ${shorter}. Set ${key} to ` +
        `${formatDuration(advice.maxSvidTtl)} or less, or ca_ttl to ${formatDuration(advice.minCaTtl)} or more.`
      );
    case 'lower-svid-and-raise-ca':
      return (
        `${key} is too high and the ca_ttl is too low; ${shorter}. Set ${key} to ` +
        `${formatDuration(advice.maxSvidTtl)} or less, and ca_ttl to ${formatDuration(advice.minCaTtl)} or more.`
      );
    case 'lower-svid':
      return `${key} is too high; ${shorter}. Set ${key} to ${formatDuration(advice.maxSvidTtl)} or less.`;
  }
}
