import { LOG_LEVELS, type LogLevel } from '../log/logger.ts';
import { boolean, choice, convert, integer, list, object, optional, refine, string, withDefault } from './schema.ts';
import { setting, settingOr } from './settings.ts';

/** Sections and keys that the configurations of server and agent have in common. */
const logLevel = convert(choice([...LOG_LEVELS, 'warn'], { anyCase: true }), (level) =>
  level === 'warn' ? 'warning' : level,
);

/** The names of `feature_flags` in the reference. */
export const featureFlag = refine(string(), (flag) => {
  if (flag === 'wit-svid') return 'WIT-SVIDs are not available yet in this build; remove this flag';
  return flag === 'i_am_a_test_flag' ? undefined : `unknown feature flag ${JSON.stringify(flag)}`;
});

/** The keys that say what is logged, where and how. */
export const loggingKeys = {
  log_file: withDefault(string(), ''),
  log_level: settingOr<LogLevel>(logLevel, 'info'),
  log_format: setting(choice(['text', 'json'], { anyCase: true })),
  log_source_location: withDefault(boolean(), false),
};

/** The keys of profiling, which are accepted and have no effect. */
export const profilingKeys = {
  profiling_enabled: withDefault(boolean(), false),
  profiling_port: withDefault(integer(), 0),
  profiling_freq: withDefault(integer(), 0),
  profiling_names: list(string()),
};

/** The section `health_checks`. */
export const healthChecks = object({
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

/** The section `telemetry`. */
export const telemetry = object(
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
