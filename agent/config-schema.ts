import {
  boolean,
  choice,
  convert,
  describe,
  duration,
  integer,
  list,
  object,
  optional,
  refine,
  string,
  withDefault,
} from '../common/config/schema.ts';
import { featureFlag, healthChecks, loggingKeys, profilingKeys, telemetry } from '../common/config/sections.ts';
import { lifetime, setting, settingOr, unavailable } from '../common/config/settings.ts';
import { pluginBlocks } from '../plugins/catalog.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';

const DAY_MS = 86_400_000;

/** A size of a cache: 0 stands for the default. */
function cacheSize() {
  return settingOr(
    refine(integer(), (size) => (size >= 0 ? undefined : 'must not be negative')),
    1000,
  );
}

/** A text that the reference insists on, in its words. */
function mustBeConfigured(key: string) {
  const text = refine(withDefault(string(), ''), (value) => (value === '' ? `${key} must be configured` : undefined));
  return describe(text, 'required');
}

const experimental = object(
  {
    sync_interval: settingOr(lifetime(), 5000),
    jwt_svid_cache_hit_timeout: settingOr(
      refine(duration(), (ms) => {
        if (ms < 5000) return 'jwt_svid_cache_hit_timeout must be greater than 5s';
        return ms < 30_000 ? undefined : 'jwt_svid_cache_hit_timeout must be less than 30s';
      }),
      30_000,
    ),
    use_sync_authorized_entries: optional(boolean()),
    require_pq_kem: unavailable('post-quantum key exchange'),
    named_pipe_name: unavailable('a named pipe (Windows)'),
    admin_named_pipe_name: unavailable('a named pipe (Windows)'),
    ratelimit: unavailable('rate limiting of the Workload API'),
    broker: unavailable('the SPIFFE Broker API'),
    feature_flags: list(featureFlag),
  },
  // The reference does not look for unknown keys here, so configurations in the field have them.
  { unknown: 'ignore' },
);

/** Accepted as it is, since the API it shapes is not served; see the warning about SDS. */
const sds = object(
  {
    default_svid_name: withDefault(string(), ''),
    default_bundle_name: withDefault(string(), ''),
    default_all_bundles_name: withDefault(string(), ''),
    disable_spiffe_cert_validation: withDefault(boolean(), false),
  },
  { unknown: 'ignore' },
);

/** Only `never` is served: the others would leave an operator believing that a lost root is recovered from. */
const rebootstrapMode = settingOr(
  refine(string(), (mode) => {
    if (mode === 'never') return undefined;
    const known = ['auto', 'always'].includes(mode);
    return known
      ? `rebootstrap_mode ${JSON.stringify(mode)} is not available yet in this build; only "never" is`
      : `unknown rebootstrap mode specified: ${mode}`;
  }),
  'never',
);

const agent = object({
  server_address: mustBeConfigured('server_address'),
  server_port: describe(
    refine(withDefault(integer(), 0), (port) => {
      if (port === 0) return 'server_port must be configured';
      return port > 0 && port < 65_536 ? undefined : 'must be a port from 1 to 65535';
    }),
    'required',
  ),
  trust_domain: convert(mustBeConfigured('trust_domain'), parseTrustDomain),
  data_dir: settingOr(string(), '.'),
  socket_path: settingOr(string(), '/tmp/spire-agent/public/api.sock'),
  admin_socket_path: unavailable('the admin socket of the agent'),
  disable_workload_api: withDefault(boolean(), false),
  disable_sds_api: withDefault(boolean(), false),
  insecure_bootstrap: withDefault(boolean(), false),
  trust_bundle_path: withDefault(string(), ''),
  trust_bundle_url: unavailable('a trust bundle from a URL'),
  trust_bundle_unix_socket: unavailable('a trust bundle from a URL'),
  trust_bundle_spiffe_workload_api: unavailable('a trust bundle from another Workload API'),
  trust_bundle_format: settingOr(choice(['pem', 'spiffe']), 'pem'),
  rebootstrap_mode: describe(rebootstrapMode, 'only "never" in this build'),
  rebootstrap_delay: settingOr(duration(), 600_000),
  join_token: withDefault(string(), ''),
  join_token_file: withDefault(string(), ''),
  ...loggingKeys,
  log_selectors: list(string()),
  allow_unauthenticated_verifiers: withDefault(boolean(), false),
  allowed_foreign_jwt_claims: list(string()),
  authorized_delegates: unavailable('the Delegated Identity API'),
  availability_target: setting(
    refine(duration(), (ms) => (ms >= DAY_MS ? undefined : 'availability_target must be at least 24h0m0s')),
  ),
  workload_x509_svid_key_type: settingOr(choice(['ec-p256', 'ec-p384', 'rsa-2048'], { anyCase: true }), 'ec-p256'),
  x509_svid_cache_max_size: cacheSize(),
  jwt_svid_cache_max_size: cacheSize(),
  sds: optional(sds),
  ...profilingKeys,
  experimental,
});

/** The whole configuration file, with the reference's keys and defaults; durations in milliseconds. */
export const agentFileSchema = object({ agent, health_checks: healthChecks, telemetry, plugins: pluginBlocks() });
