import { LOG_LEVELS, type LogLevel } from '../log/logger.ts';
import {
  boolean,
  choice,
  convert,
  type Infer,
  integer,
  list,
  object,
  optional,
  refine,
  string,
  withDefault,
} from './schema.ts';
import { setting, settingOr } from './settings.ts';

// Sections and keys that the configurations of server and agent have in common.

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

/** What is logged, where and how. */
export interface LogSettings {
  readonly level: LogLevel;
  readonly format: 'text' | 'json';
  /** The reference writes nanoseconds when a format was named. */
  readonly formatGiven: boolean;
  /** Undefined writes to stdout. */
  readonly file: string | undefined;
  readonly sourceLocation: boolean;
}

/** The meaning of `loggingKeys`. */
export function logSettings(
  keys: {
    readonly [K in keyof typeof loggingKeys]: Infer<(typeof loggingKeys)[K]>;
  },
): LogSettings {
  return {
    level: keys.log_level,
    format: keys.log_format ?? 'text',
    formatGiven: keys.log_format !== undefined,
    file: keys.log_file === '' ? undefined : keys.log_file,
    sourceLocation: keys.log_source_location,
  };
}

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

/** Where health is answered over HTTP. */
export interface HealthSettings {
  readonly listen: boolean;
  readonly host: string;
  readonly port: number;
  readonly livePath: string;
  readonly readyPath: string;
}

/** The meaning of `healthChecks`. */
export function healthSettings(section: Infer<typeof healthChecks>): HealthSettings {
  return {
    listen: section.listener_enabled,
    host: section.bind_address,
    port: section.bind_port,
    livePath: section.live_path,
    readyPath: section.ready_path,
  };
}

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

/** What an operator should hear of sections that are accepted and have no effect. */
export function unservedWarnings(profiling: boolean, sinks: Infer<typeof telemetry>): string[] {
  const warnings: string[] = [];
  if (profiling) warnings.push('Profiling is not available yet in this build; profiling_enabled has no effect');
  const names = [
    sinks.Prometheus && 'Prometheus',
    sinks.DogStatsd.length > 0 && 'DogStatsd',
    sinks.Statsd.length > 0 && 'Statsd',
    sinks.M3.length > 0 && 'M3',
    sinks.InMem && 'InMem',
  ].filter((name) => typeof name === 'string');
  if (names.length > 0) {
    warnings.push(`Telemetry is not available yet in this build; no metrics are sent to ${names.join(', ')}`);
  }
  return warnings;
}
