import { describe, expect, it } from 'vitest';
import { parseConfigText } from '../common/config/hcl.ts';
import { readServerConfig, type ServerConfig, type ServerFlags } from './config.ts';

const read = (text: string, flags: ServerFlags = {}): ServerConfig =>
  readServerConfig(parseConfigText(text, 'server.conf'), flags);

const plugins = 'plugins { KeyManager "memory" { plugin_data {} } }';
const minimal = (more = '', outside = ''): string =>
  `server {\n trust_domain = "example.org"\n data_dir = "/data"\n ${more}\n}\n${plugins}\n${outside}`;

const problems = (text: string): string[] => {
  try {
    read(text);
  } catch (error) {
    return (error as Error).message.split('\n');
  }
  return [];
};

describe('the configuration of a server', () => {
  it('has the defaults of the reference', () => {
    expect(read(minimal())).toEqual({
      trustDomain: 'example.org',
      dataDir: '/data',
      bindAddress: '0.0.0.0',
      bindPort: 8081,
      socketPath: '/tmp/spire-server/private/api.sock',
      adminIds: [],
      auditLog: false,
      log: { level: 'info', format: 'text', formatGiven: false, file: undefined, sourceLocation: false },
      ca: {
        ttl: 86_400,
        x509KeyType: 'ec-p256',
        jwtKeyType: 'ec-p256',
        subject: { country: ['US'], organization: ['SPIFFE'], commonName: '' },
      },
      svid: { x509Ttl: 3600, jwtTtl: 300, agentTtl: 3600, jwtIssuer: '', jwtDisabled: false },
      rateLimit: { attestation: true, signing: true },
      agentIdAsSelector: false,
      cache: { reloadInterval: 5000, fullReloadInterval: 86_400_000, eventTimeout: 900_000 },
      pruneEventsOlderThan: 43_200_000,
      pruneNodes: undefined,
      health: { listen: false, host: 'localhost', port: 80, livePath: '/live', readyPath: '/ready' },
      plugins: [expect.objectContaining({ type: 'KeyManager', name: 'memory', enabled: true })],
      warnings: [],
    });
  });

  it('reads every key', () => {
    const config = read(
      minimal(`
        trust_domain = "spiffe://other.org"
        admin_ids = ["spiffe://x.org/admin"]
        agent_ttl = "2h"
        audit_log_enabled = true
        bind_address = "[::1]"
        bind_port = "9000"
        ca_key_type = "RSA-2048"
        ca_subject { country = ["CH"] organization = ["A", "B"] common_name = "cn" }
        ca_ttl = "48h"
        default_x509_svid_ttl = "30m"
        default_jwt_svid_ttl = "90s"
        disable_jwt_svids = true
        jwt_issuer = "https://issuer"
        jwt_key_type = "ec-p384"
        log_file = "/log"
        log_level = "WARN"
        log_format = "JSON"
        log_source_location = true
        max_attested_node_info_staleness = "5s"
        prune_attested_nodes_expired_for = "720h"
        prune_tofu_nodes = true
        ratelimit { attestation = false signing = false }
        socket_path = "/sock"
        experimental {
          agent_spiffe_id_as_selector = true
          cache_reload_interval = "1s"
          full_cache_reload_interval = "1h"
          events_based_cache = true
          event_timeout = "1m"
          some_future_key = 1
        }`),
    );
    expect(config).toMatchObject({
      trustDomain: 'other.org',
      adminIds: ['spiffe://x.org/admin'],
      auditLog: true,
      bindAddress: '::1',
      bindPort: 9000,
      socketPath: '/sock',
      ca: {
        ttl: 172_800,
        x509KeyType: 'rsa-2048',
        jwtKeyType: 'ec-p384',
        subject: { country: ['CH'], organization: ['A', 'B'], commonName: 'cn' },
      },
      svid: { x509Ttl: 1800, jwtTtl: 90, agentTtl: 7200, jwtIssuer: 'https://issuer', jwtDisabled: true },
      log: { level: 'warning', format: 'json', formatGiven: true, file: '/log', sourceLocation: true },
      pruneNodes: { expiredFor: 2_592_000, batchSize: 1000, includeNonReattestable: true },
      rateLimit: { attestation: false, signing: false },
      agentIdAsSelector: true,
      cache: { reloadInterval: 1000, fullReloadInterval: 3_600_000, eventTimeout: 60_000 },
    });
  });

  it('is the same in JSON', () => {
    const json = JSON.stringify({
      server: { trust_domain: 'example.org', data_dir: '/data' },
      plugins: { KeyManager: [{ memory: [{ plugin_data: {} }] }] },
    });
    const { plugins: blocks, ...rest } = read(json);
    const { plugins: inHcl, ...restInHcl } = read(minimal());
    expect(rest).toEqual(restInHcl);
    expect(blocks.map(({ type, name }) => [type, name])).toEqual(inHcl.map(({ type, name }) => [type, name]));
  });

  it('gives way to flags, but not to empty ones', () => {
    const flags = { bindAddress: '127.0.0.1', serverPort: 0, logLevel: 'debug', trustDomain: 'flag.org', dataDir: '' };
    expect(read(minimal('bind_port = 9000'), flags)).toMatchObject({
      ...{ bindAddress: '127.0.0.1', bindPort: 9000, trustDomain: 'flag.org', dataDir: '/data' },
      log: { level: 'debug' },
    });
    expect(() => read(minimal(), { trustDomain: 'A' })).toThrow(/flag -trustDomain/);
  });

  it('tells everything that is wrong at once, with its place', () => {
    const found = problems(
      `server {\n  trust_domian = "x"\n  ca_ttl = "1d"\n  bind_port = "x"\n  admin_ids = ["x"]\n}\ntop = 1`,
    );
    expect(found).toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^server\.conf:2: server\.trust_domian: unknown configuration key; did you mean "trust_domain"/,
        ),
        expect.stringMatching(/^server\.conf:3: server\.ca_ttl: must be a duration/),
        expect.stringMatching(/^server\.conf:4: server\.bind_port: /),
        expect.stringMatching(/^server\.conf:5: server\.admin_ids\[0\]: /),
        expect.stringMatching(/^server\.conf:7: top: unknown/),
        expect.stringMatching(/server\.data_dir: must be configured/),
        expect.stringMatching(/server\.trust_domain: must be configured/),
        expect.stringMatching(/plugins: must be configured/),
      ]),
    );
  });

  it.each([
    ['ca_key_type = "ed25519"', /server\.ca_key_type: must be one of/],
    ['log_level = "loud"', /server\.log_level: must be one of/],
    ['default_x509_svid_ttl = "-1h"', /default_x509_svid_ttl: must be longer than 0/],
    ['ca_subject { state = "x" }', /server\.ca_subject\.state: unknown/],
    ['ratelimit { x = true }', /server\.ratelimit\.x: unknown/],
    ['experimental { event_timeout = "1m" sql_transaction_timeout = "1m" }', /only set event_timeout/],
    ['experimental { full_cache_reload_interval = "5s" }', /must be greater than cache reload interval/],
    ['experimental { feature_flags = ["nope"] }', /unknown feature flag "nope"/],
  ])('refuses %s', (text, message) => {
    expect(problems(minimal(text)).join('\n')).toMatch(message);
  });

  it.each([
    'federation { bundle_endpoint { port = 8443 } }',
    'federation { federates_with "x.org" { bundle_endpoint_url = "https://x" } }',
    'proxy_protocol_trusted_cidrs = ["10.0.0.0/8"]',
    'experimental { auth_opa_policy_engine { local { rego_path = "x" } } }',
    'experimental { require_pq_kem = true }',
    'experimental { feature_flags = ["wit-svid"] }',
    'experimental { named_pipe_name = "x" }',
  ])('does not let an operator believe in %s', (text) => {
    expect(problems(minimal(text)).join('\n')).toMatch(/not available yet in this build/);
  });

  it('accepts those keys when they switch the feature off', () => {
    expect(problems(minimal('proxy_protocol_trusted_cidrs = []\nexperimental { require_pq_kem = false }'))).toEqual([]);
  });

  it('warns of what works differently than one may think', () => {
    const outside = 'telemetry { Prometheus { port = 9988 } unknown_sink = 1 }';
    expect(
      read(minimal('default_x509_svid_ttl = "8h"\nca_subject {}\nprofiling_enabled = true', outside)).warnings,
    ).toEqual([
      expect.stringMatching(/^default_x509_svid_ttl is too high .* to 4h0m0s or less, or ca_ttl to 48h0m0s or more/),
      'ca_subject configurable is set but empty; the default will be used',
      expect.stringMatching(/^Profiling is not available/),
      expect.stringMatching(/no metrics are sent to Prometheus$/),
    ]);
  });

  it('reads the health section', () => {
    const health = 'health_checks { listener_enabled = true bind_port = "8080" live_path = "/l" }';
    expect(read(minimal('', health)).health).toEqual({
      listen: true,
      host: 'localhost',
      port: 8080,
      livePath: '/l',
      readyPath: '/ready',
    });
    expect(problems(minimal('', 'health_checks { x = 1 }')).join()).toMatch(/health_checks\.x: unknown/);
  });
});
