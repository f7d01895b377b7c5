import { describe, expect, it } from 'vitest';
import { parseConfigText } from '../common/config/hcl.ts';
import { type AgentConfig, type AgentFlags, readAgentConfig } from './config.ts';

const noFiles = (file: string): string => {
  throw new Error(`ENOENT: ${file}`);
};

const read = (text: string, flags: AgentFlags = {}, readFile = noFiles): AgentConfig =>
  readAgentConfig(parseConfigText(text, 'agent.conf'), flags, readFile);

const plugins = 'plugins { NodeAttestor "join_token" {} }';
const server = 'server_address = "server.example.org"\n server_port = 8081\n trust_domain = "example.org"';
const bootstrap = 'trust_bundle_path = "/etc/bundle.pem"';
const agent = (...lines: string[]): string => `agent {\n ${lines.join('\n ')}\n}\n${plugins}`;
const minimal = (...more: string[]): string => agent(server, bootstrap, ...more);

function problems(text: string, flags: AgentFlags = {}, readFile = noFiles): string[] {
  try {
    read(text, flags, readFile);
  } catch (error) {
    return (error as Error).message.split('\n');
  }
  return [];
}

describe('the configuration of an agent', () => {
  it('has the defaults of the reference', () => {
    expect(read(minimal('disable_sds_api = true'))).toEqual({
      trustDomain: 'example.org',
      serverAddress: 'server.example.org:8081',
      dataDir: '.',
      socketPath: '/tmp/spire-agent/public/api.sock',
      trustBundle: { path: '/etc/bundle.pem', format: 'pem' },
      joinToken: undefined,
      log: { level: 'info', format: 'text', formatGiven: false, file: undefined, sourceLocation: false, selectors: [] },
      allowUnauthenticatedVerifiers: false,
      allowedForeignJwtClaims: [],
      availabilityTarget: 0,
      workloadKeyType: 'ec-p256',
      x509CacheSize: 1000,
      jwtCacheSize: 1000,
      syncInterval: 5000,
      jwtCacheHitTimeout: 30_000,
      health: { listen: false, host: 'localhost', port: 80, livePath: '/live', readyPath: '/ready' },
      plugins: [expect.objectContaining({ type: 'NodeAttestor', name: 'join_token', enabled: true })],
      warnings: [],
    });
  });

  it('reads every key, as weakly typed as the reference does', () => {
    const config = read(`
      agent {
        server_address = "::1"
        Server_Port = "0x1F91"
        trust_domain = "spiffe://other.org"
        data_dir = "/data"
        socket_path = "/run/api.sock"
        disable_sds_api = "true"
        trust_bundle_path = "/bundle.json"
        trust_bundle_format = "spiffe"
        rebootstrap_mode = "never"
        join_token = "abc"
        log_file = "/log"
        log_format = "JSON"
        log_level = "Warn"
        log_source_location = 1
        log_selectors = ["unix:uid", "k8s:ns"]
        allow_unauthenticated_verifiers = true
        allowed_foreign_jwt_claims = ["role"]
        availability_target = "48h"
        workload_x509_svid_key_type = "RSA-2048"
        x509_svid_cache_max_size = 7
        jwt_svid_cache_max_size = "8"
        experimental { sync_interval = "1s" jwt_svid_cache_hit_timeout = "10s" something_else = 3 }
      }
      health_checks { listener_enabled = true bind_address = "0.0.0.0" bind_port = "8080" live_path = "/l" ready_path = "/r" }
      ${plugins}`);
    expect(config).toMatchObject({
      trustDomain: 'other.org',
      serverAddress: '[::1]:8081',
      dataDir: '/data',
      socketPath: '/run/api.sock',
      trustBundle: { path: '/bundle.json', format: 'spiffe' },
      joinToken: 'abc',
      log: { level: 'warning', format: 'json', formatGiven: true, file: '/log', sourceLocation: true },
      allowUnauthenticatedVerifiers: true,
      allowedForeignJwtClaims: ['role'],
      availabilityTarget: 48 * 3_600_000,
      workloadKeyType: 'rsa-2048',
      x509CacheSize: 7,
      jwtCacheSize: 8,
      syncInterval: 1000,
      jwtCacheHitTimeout: 10_000,
      health: { listen: true, host: '0.0.0.0', port: 8080, livePath: '/l', readyPath: '/r' },
      warnings: [],
    });
    expect(config.log.selectors).toEqual(['unix:uid', 'k8s:ns']);
  });

  it('takes empty and zero values for unset ones', () => {
    const config = read(minimal('x509_svid_cache_max_size = 0', 'socket_path = ""', 'availability_target = ""'));
    expect(config.x509CacheSize).toBe(1000);
    expect(config.socketPath).toBe('/tmp/spire-agent/public/api.sock');
    expect(config.availabilityTarget).toBe(0);
  });

  it('serves no Workload API when told so', () => {
    expect(read(minimal('disable_workload_api = true')).socketPath).toBeUndefined();
  });
});

describe('flags of the command line', () => {
  it('win over the file', () => {
    const flags = { serverAddress: '192.0.2.1', serverPort: 9000, trustBundle: '/other.pem', joinToken: 'from-flag' };
    expect(read(minimal('join_token = "from-file"'), flags)).toMatchObject({
      serverAddress: '192.0.2.1:9000',
      trustBundle: { path: '/other.pem' },
      joinToken: 'from-flag',
    });
  });

  it('cannot blank what the file says', () => {
    const file = agent(server, 'insecure_bootstrap = true', 'log_level = "debug"');
    const config = read(file, { insecureBootstrap: false, serverPort: 0, logLevel: '' });
    expect(config).toMatchObject({ trustBundle: 'insecure', serverAddress: 'server.example.org:8081' });
    expect(config.log.level).toBe('debug');
  });
});

describe('join tokens', () => {
  it('are read from a file, without the white space around them', () => {
    const files = (file: string): string => (file === '/token' ? ' abc\n' : noFiles(file));
    expect(read(minimal('join_token_file = "/token"'), {}, files).joinToken).toBe('abc');
  });

  it('must be there when a file is named', () => {
    const text = minimal('join_token_file = "/token"');
    expect(problems(text, {}, () => ' \n')[0]).toContain('join token file is empty');
    expect(problems(text)[0]).toContain('unable to read join token file /token');
  });

  it('come from one place only', () => {
    expect(problems(minimal('join_token = "a"', 'join_token_file = "/token"'))).toEqual([
      'only one of join_token or join_token_file can be specified, not both',
    ]);
  });
});

describe('a configuration that cannot be used', () => {
  it.each([
    ['no address', agent('server_port = 1', 'trust_domain = "a"', bootstrap), 'server_address must be configured'],
    ['no port', agent('server_address = "a"', 'trust_domain = "a"', bootstrap), 'server_port must be configured'],
    ['no trust domain', agent('server_address = "a"', 'server_port = 1', bootstrap), 'trust_domain must be configured'],
    ['no section at all', plugins, 'server_address must be configured'],
    ['no plugins', `agent {\n${server}\n${bootstrap}\n}`, 'must be configured'],
    ['an upper-case trust domain', minimal('trust_domain = "EXAMPLE"'), 'lowercase letters'],
    ['a format nobody knows', minimal('trust_bundle_format = "der"'), 'trust_bundle_format'],
    ['too short a target', minimal('availability_target = "1h"'), 'availability_target must be at least 24h0m0s'],
    ['a negative cache', minimal('x509_svid_cache_max_size = -1'), 'must not be negative'],
    ['an unknown key', minimal('retry_bootstrap = true'), 'retry_bootstrap'],
    ['an unknown log level', minimal('log_level = "loud"'), 'log_level'],
    ['an unknown key type', minimal('workload_x509_svid_key_type = "ed25519"'), 'workload_x509_svid_key_type'],
    ['an unknown mode', minimal('rebootstrap_mode = "maybe"'), 'unknown rebootstrap mode specified: maybe'],
    ['too short a wait', minimal('experimental { jwt_svid_cache_hit_timeout = "1s" }'), 'must be greater than 5s'],
    ['too long a wait', minimal('experimental { jwt_svid_cache_hit_timeout = "30s" }'), 'must be less than 30s'],
  ])('%s', (_name, text, expected) => {
    expect(problems(text).join('\n')).toContain(expected);
  });

  it('tells all that is wrong at once, with the place', () => {
    const found = problems(minimal('log_level = "loud"', 'no_such_key = 1'));
    expect(found.length).toBeGreaterThanOrEqual(2);
    for (const line of found) expect(line).toMatch(/^agent\.conf:\d+/);
  });

  it.each([
    ['neither bundle nor insecure', agent(server), 'must be configured unless insecure_bootstrap is set'],
    ['both', minimal('insecure_bootstrap = true'), 'only one of insecure_bootstrap or trust_bundle_path'],
  ])('says from where the server is trusted: %s', (_name, text, expected) => {
    expect(problems(text).join('\n')).toContain(expected);
  });
});

describe('what this build does not have', () => {
  it.each([
    'admin_socket_path = "/run/admin.sock"',
    'trust_bundle_url = "https://x"',
    'trust_bundle_unix_socket = "/s"',
    'trust_bundle_spiffe_workload_api = "unix:///s"',
    'authorized_delegates = ["spiffe://example.org/a"]',
    'rebootstrap_mode = "auto"',
    'rebootstrap_mode = "always"',
    'experimental { require_pq_kem = true }',
    'experimental { ratelimit { fetch_x509_svid = 1 } }',
    'experimental { broker { socket_path = "/b" } }',
    'experimental { feature_flags = ["wit-svid"] }',
  ])('is refused where ignoring it would deceive: %s', (line) => {
    expect(problems(minimal(line)).join('\n')).toContain('not available');
  });

  it('is accepted where it is switched off', () => {
    const lines = ['admin_socket_path = ""', 'authorized_delegates = []', 'experimental { require_pq_kem = false }'];
    expect(problems(minimal(...lines))).toEqual([]);
  });

  it('is warned about where it is harmless', () => {
    const text = `${minimal('profiling_enabled = true')}\ntelemetry { Prometheus { port = 9988 } }`;
    const warnings = read(text).warnings.join('\n');
    for (const word of ['SDS', 'Profiling', 'Prometheus']) expect(warnings).toContain(word);
    expect(read(agent(server, 'insecure_bootstrap = true')).warnings.join('\n')).toContain('Insecure bootstrap');
  });
});
