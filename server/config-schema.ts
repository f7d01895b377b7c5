import { featureFlag, healthChecks, loggingKeys, profilingKeys, telemetry } from '../common/config/sections.ts';
import {
  boolean,
  choice,
  convert,
  duration,
  integer,
  list,
  object,
  optional,
  refine,
  required,
  string,
  withDefault,
} from '../common/config/schema.ts';
import { lifetime, setting, settingOr, unavailable } from '../common/config/settings.ts';
import { pluginBlocks } from '../plugins/catalog.ts';
import { parseSpiffeId } from '../spiffe/id.ts';
import { KEY_TYPES } from '../spiffe/signer.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';

const keyType = choice(KEY_TYPES, { anyCase: true });
const caSubject = object({
  country: list(string()),
  organization: list(string()),
  common_name: withDefault(string(), ''),
});

const rateLimit = object({
  attestation: withDefault(boolean(), true),
  signing: withDefault(boolean(), true),
});

const experimental = object(
  {
    agent_spiffe_id_as_selector: withDefault(boolean(), false),
    auth_opa_policy_engine: unavailable('a custom authorization policy'),
    cache_reload_interval: settingOr(lifetime(), 5000),
    full_cache_reload_interval: settingOr(lifetime(), 86_400_000),
    events_based_cache: withDefault(boolean(), false),
    prune_events_older_than: settingOr(lifetime(), 43_200_000),
    event_timeout: setting(lifetime()),
    sql_transaction_timeout: setting(lifetime()),
    require_pq_kem: unavailable('post-quantum key exchange'),
    wit_key_type: setting(keyType),
    wit_issuer: withDefault(string(), ''),
    feature_flags: list(featureFlag),
    named_pipe_name: unavailable('a named pipe (Windows)'),
  },
  // The reference does not look for unknown keys here, so configurations in the field have them.
  { unknown: 'ignore' },
);

const federation = object(
  {
    bundle_endpoint: unavailable('the federation bundle endpoint'),
    federates_with: unavailable('federation with other trust domains'),
  },
  { unknown: 'ignore' },
);

const server = object({
  admin_ids: list(convert(string(), parseSpiffeId)),
  agent_ttl: setting(lifetime()),
  audit_log_enabled: withDefault(boolean(), false),
  bind_address: settingOr(string(), '0.0.0.0'),
  bind_port: settingOr(
    refine(integer(), (port) => (port > 0 && port < 65_536 ? undefined : 'must be a port from 1 to 65535')),
    8081,
  ),
  ca_key_type: setting(keyType),
  ca_subject: optional(caSubject),
  ca_ttl: settingOr(lifetime(), 86_400_000),
  data_dir: required(string()),
  default_x509_svid_ttl: settingOr(lifetime(), 3_600_000),
  default_jwt_svid_ttl: settingOr(lifetime(), 300_000),
  disable_jwt_svids: withDefault(boolean(), false),
  experimental,
  federation: optional(federation),
  jwt_issuer: withDefault(string(), ''),
  jwt_key_type: setting(keyType),
  ...loggingKeys,
  max_attested_node_info_staleness: setting(duration()),
  ...profilingKeys,
  proxy_protocol_trusted_cidrs: unavailable('the PROXY protocol'),
  prune_attested_nodes_expired_for: setting(lifetime()),
  prune_attested_nodes_batch_size: withDefault(integer(), 0),
  prune_tofu_nodes: withDefault(boolean(), false),
  ratelimit: rateLimit,
  socket_path: settingOr(string(), '/tmp/spire-server/private/api.sock'),
  trust_domain: convert(required(string()), parseTrustDomain),
});

/** The whole configuration file, with the reference's keys and defaults; durations in milliseconds. */
export const serverFileSchema = object({ server, health_checks: healthChecks, telemetry, plugins: pluginBlocks() });
