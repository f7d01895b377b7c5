import { readFileSync } from 'node:fs';
import { decode, type Infer } from '../common/config/schema.ts';
import {
  type HealthSettings,
  healthSettings,
  type LogSettings,
  logSettings,
  unservedWarnings,
} from '../common/config/sections.ts';
import { type ConfigObject, flagOverrides, withOverrides } from '../common/config/tree.ts';
import { FinialError, messageOf } from '../common/errors.ts';
import type { PluginBlock } from '../plugins/catalog.ts';
import type { KeyType } from '../spiffe/signer.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { agentFileSchema } from './config-schema.ts';

/** The configuration of an agent, complete and checked. Times are milliseconds. */
export interface AgentConfig {
  readonly trustDomain: TrustDomain;
  /** `host:port` of the server, an IPv6 address in brackets. */
  readonly serverAddress: string;
  readonly dataDir: string;
  /** Undefined: the Workload API is switched off. */
  readonly socketPath: string | undefined;
  readonly trustBundle: { readonly path: string; readonly format: 'pem' | 'spiffe' } | 'insecure';
  readonly joinToken: string | undefined;
  readonly log: LogSettings & {
    /** Prefixes of selectors that may be logged. */
    readonly selectors: readonly string[];
  };
  readonly allowUnauthenticatedVerifiers: boolean;
  readonly allowedForeignJwtClaims: readonly string[];
  /** 0 when not set. */
  readonly availabilityTarget: number;
  readonly workloadKeyType: KeyType;
  readonly x509CacheSize: number;
  readonly jwtCacheSize: number;
  readonly syncInterval: number;
  readonly jwtCacheHitTimeout: number;
  readonly health: HealthSettings;
  readonly plugins: readonly PluginBlock[];
  /** What an operator should hear at start, although the configuration is accepted. */
  readonly warnings: readonly string[];
}

/** Command line flags that win over the file; as in the reference, an empty, 0 or false flag changes nothing. */
export interface AgentFlags {
  readonly dataDir?: string;
  readonly joinToken?: string;
  readonly joinTokenFile?: string;
  readonly logFile?: string;
  readonly logFormat?: string;
  readonly logLevel?: string;
  readonly logSourceLocation?: boolean;
  readonly serverAddress?: string;
  readonly serverPort?: number;
  readonly trustDomain?: string;
  readonly disableWorkloadAPI?: boolean;
  readonly disableSDSAPI?: boolean;
  readonly trustBundle?: string;
  readonly trustBundleUrl?: string;
  readonly trustBundleFormat?: string;
  readonly allowUnauthenticatedVerifiers?: boolean;
  readonly insecureBootstrap?: boolean;
  readonly rebootstrapMode?: string;
  readonly rebootstrapDelay?: string;
  readonly socketPath?: string;
}

const keyOfFlag: Record<keyof AgentFlags, string> = {
  dataDir: 'data_dir',
  joinToken: 'join_token',
  joinTokenFile: 'join_token_file',
  logFile: 'log_file',
  logFormat: 'log_format',
  logLevel: 'log_level',
  logSourceLocation: 'log_source_location',
  serverAddress: 'server_address',
  serverPort: 'server_port',
  trustDomain: 'trust_domain',
  disableWorkloadAPI: 'disable_workload_api',
  disableSDSAPI: 'disable_sds_api',
  trustBundle: 'trust_bundle_path',
  trustBundleUrl: 'trust_bundle_url',
  trustBundleFormat: 'trust_bundle_format',
  allowUnauthenticatedVerifiers: 'allow_unauthenticated_verifiers',
  insecureBootstrap: 'insecure_bootstrap',
  rebootstrapMode: 'rebootstrap_mode',
  rebootstrapDelay: 'rebootstrap_delay',
  socketPath: 'socket_path',
};

type File = Infer<typeof agentFileSchema>;

/**
 * Reads an agent's configuration.
 *
 * @param root the parsed file
 * @param flags of the command line
 * @param readFile reads `join_token_file`
 * @throws FinialError `invalid-argument` with one line per problem
 */
export function readAgentConfig(
  root: ConfigObject,
  flags: AgentFlags = {},
  readFile: (file: string) => string = (file) => readFileSync(file, 'utf8'),
): AgentConfig {
  const overrides = flagOverrides(keyOfFlag, flags);
  const file = decode(agentFileSchema, withOverrides(root, 'agent', overrides), '');
  const problems = contradictions(file);
  if (problems.length > 0) throw new FinialError('invalid-argument', problems.join('\n'));
  return toConfig(file, readFile);
}

/** What no single key is to blame for, in the reference's words where it has some. */
function contradictions({ agent }: File): string[] {
  const problems: string[] = [];
  if (agent.join_token !== '' && agent.join_token_file !== '') {
    problems.push('only one of join_token or join_token_file can be specified, not both');
  }
  if (agent.insecure_bootstrap && agent.trust_bundle_path !== '') {
    problems.push('only one of insecure_bootstrap or trust_bundle_path can be specified, not both');
  }
  if (!agent.insecure_bootstrap && agent.trust_bundle_path === '') {
    problems.push('trust_bundle_path must be configured unless insecure_bootstrap is set');
  }
  return problems;
}

function toConfig(file: File, readFile: (file: string) => string): AgentConfig {
  const { agent } = file;
  const { experimental } = agent;
  return {
    trustDomain: agent.trust_domain,
    serverAddress: `${bracketed(agent.server_address)}:${agent.server_port}`,
    dataDir: agent.data_dir,
    socketPath: agent.disable_workload_api ? undefined : agent.socket_path,
    trustBundle: agent.insecure_bootstrap
      ? 'insecure'
      : { path: agent.trust_bundle_path, format: agent.trust_bundle_format },
    joinToken: joinTokenOf(agent, readFile),
    log: { ...logSettings(agent), selectors: agent.log_selectors },
    allowUnauthenticatedVerifiers: agent.allow_unauthenticated_verifiers,
    allowedForeignJwtClaims: agent.allowed_foreign_jwt_claims,
    availabilityTarget: agent.availability_target ?? 0,
    workloadKeyType: agent.workload_x509_svid_key_type,
    x509CacheSize: agent.x509_svid_cache_max_size,
    jwtCacheSize: agent.jwt_svid_cache_max_size,
    syncInterval: experimental.sync_interval,
    jwtCacheHitTimeout: experimental.jwt_svid_cache_hit_timeout,
    health: healthSettings(file.health_checks),
    plugins: file.plugins,
    warnings: warningsOf(file),
  };
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

function joinTokenOf(agent: File['agent'], readFile: (file: string) => string): string | undefined {
  if (agent.join_token !== '') return agent.join_token;
  const file = agent.join_token_file;
  if (file === '') return undefined;
  let text: string;
  try {
    text = readFile(file).trim();
  } catch (error) {
    throw new FinialError('invalid-argument', `unable to read join token file ${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (text === '') throw new FinialError('invalid-argument', `join token file is empty: ${file}`);
  return text;
}

function warningsOf({ agent, telemetry }: File): string[] {
  const warnings: string[] = [];
  if (agent.insecure_bootstrap) {
    warnings.push('Insecure bootstrap enabled; the first connection to the server is not authenticated');
  }
  if (!agent.disable_sds_api) {
    warnings.push('The Envoy SDS API is not available yet in this build; set disable_sds_api to silence this warning');
  }
  if (agent.experimental.use_sync_authorized_entries !== undefined) {
    warnings.push(
      'experimental.use_sync_authorized_entries is deprecated; entries are always synchronised by revision',
    );
  }
  return [...warnings, ...unservedWarnings(agent.profiling_enabled, telemetry)];
}
