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
import { type Found, invalid, present, type Schema } from '../common/config/schema-core.ts';
import { LOG_LEVELS } from '../common/log/logger.ts';
import { pluginBlocks } from '../plugins/catalog.ts';
import { parseSpiffeId } from '../spiffe/id.ts';
import { KEY_TYPES } from '../spiffe/signer.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';

/** In the reference's configuration '', 0 and null all mean "not set". */
function isUnset(one: Found): boolean {
  const { value } = one;
  if (!present(one)) return true;
  return (value.kind === 'text' && value.text === '') || (value.kind === 'integer' && Number(value.text) === 0);
}

/** Undefined when absent, empty or 0. */
function setting<T>(schema: Schema<T>): Schema<T | undefined> {
  return {
    shape: { ...schema.shape, presence: 'optional' },
    read(found, place) {
      const given = found.filter((one) => !isUnset(one));
      return given.length === 0 ? undefined : schema.read(given, place);
    },
  };
}

/** `value` when absent, empty or 0. */
function settingOr<T>(schema: Schema<T>, value: T): Schema<T> {
  const inner = setting(schema);
  return {
    shape: { ...inner.shape, fallback: value },
    read(found, place) {
      const read = inner.read(found, place);
      return read === undefined ? value : read;
    },
  };
}

/** A duration longer than nothing. */
function lifetime(): Schema<number> {
  return refine(duration(), (ms) => (ms > 0 ? undefined : 'must be longer than 0'));
}

/**
 * A key that the reference knows and this build does not serve yet. Ignoring it would leave an operator believing in
 * something that is not there, so it is refused unless it switches the feature off.
 */
function unavailable(feature: string): Schema<undefined> {
  return {
    shape: { kind: 'raw', presence: 'optional', help: `${feature}; not available yet in this build` },
    read(found, place) {
      const on = found.filter(({ value, labels }) => labels.length > 0 || !isOff(value));
      for (const one of on) {
        place.problems.add(one.position, place.path, `${feature} is not available yet in this build; remove this key`);
      }
      return on.length === 0 ? undefined : invalid;
    },
  };
}

function isOff(value: Found['value']): boolean {
  if (value.kind === 'list') return value.items.length === 0;
  if (value.kind === 'object') return false;
  return value.kind === 'null' || ['', '0', 'false'].includes(value.text.toLowerCase());
}

const keyType = choice(KEY_TYPES, { anyCase: true });
const logLevel = convert(choice([...LOG_LEVELS, 'warn'], { anyCase: true }), (level) =>
  level === 'warn' ? 'warning' : level,
);

/** The names of `feature_flags` in the reference. */
const featureFlag = refine(string(), (flag) => {
  if (flag === 'wit-svid') return 'WIT-SVIDs are not available yet in this build; remove this flag';
  return flag === 'i_am_a_test_flag' ? undefined : `unknown feature flag ${JSON.stringify(flag)}`;
});

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
    prune_events_older_than: setting(lifetime()),
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
  log_file: withDefault(string(), ''),
  log_level: settingOr<(typeof LOG_LEVELS)[number]>(logLevel, 'info'),
  log_format: setting(choice(['text', 'json'], { anyCase: true })),
  log_source_location: withDefault(boolean(), false),
  max_attested_node_info_staleness: setting(duration()),
  profiling_enabled: withDefault(boolean(), false),
  profiling_port: withDefault(integer(), 0),
  profiling_freq: withDefault(integer(), 0),
  profiling_names: list(string()),
  proxy_protocol_trusted_cidrs: unavailable('the PROXY protocol'),
  prune_attested_nodes_expired_for: setting(lifetime()),
  prune_attested_nodes_batch_size: withDefault(integer(), 0),
  prune_tofu_nodes: withDefault(boolean(), false),
  ratelimit: rateLimit,
  socket_path: settingOr(string(), '/tmp/spire-server/private/api.sock'),
  trust_domain: convert(required(string()), parseTrustDomain),
});

const healthChecks = object({
  listener_enabled: withDefault(boolean(), false),
  bind_address: settingOr(string(), 'localhost'),
  bind_port: settingOr(integer(), 80),
  live_path: settingOr(string(), '/live'),
  ready_path: settingOr(string(), '/ready'),
});

const prometheusTls = object(
  {
    cert_file: withDefault(string(), ''),
    key_file: withDefault(string(), ''),
    client_ca_file: withDefault(string(), ''),
    use_spire_svid: withDefault(boolean(), false),
    authorized_spiffe_ids: list(string()),
  },
  { unknown: 'ignore' },
);

const telemetry = object(
  {
    Prometheus: optional(
      object({ host: withDefault(string(), ''), port: withDefault(integer(), 0), tls: optional(prometheusTls) }),
    ),
    DogStatsd: list(object({ address: withDefault(string(), '') })),
    Statsd: list(object({ address: withDefault(string(), '') })),
    M3: list(object({ address: withDefault(string(), ''), env: withDefault(string(), '') })),
    InMem: optional(object({ enabled: optional(boolean()) })),
    MetricPrefix: withDefault(string(), ''),
    EnableTrustDomainLabel: withDefault(boolean(), false),
    EnableHostnameLabel: withDefault(boolean(), true),
    AllowedPrefixes: list(string()),
    BlockedPrefixes: list(string()),
    AllowedLabels: list(string()),
    BlockedLabels: list(string()),
  },
  { unknown: 'ignore' },
);

/** The whole configuration file, with the reference's keys and defaults; durations in milliseconds. */
export const serverFileSchema = object({ server, health_checks: healthChecks, telemetry, plugins: pluginBlocks() });
