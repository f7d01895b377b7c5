import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ENDPOINT_VARIABLE, parseEndpoint, type WorkloadEndpoint, workloadEndpoint } from './endpoint.ts';

// The rules of the standard are held by test/vectors/endpoint.json; here stands what it leaves open.
describe('parseEndpoint', () => {
  it.each([
    ['UNIX:///run/a.sock', '/run/a.sock'],
    ['unix:///run/with%20blank/100%25.sock', '/run/with blank/100%.sock'],
    ['unix:////run/a.sock', '/run/a.sock'],
    ['unix:///run/a@b:c.sock', '/run/a@b:c.sock'],
  ])('reads the path of %s', (address, path) => {
    expect(parseEndpoint(address)).toEqual({ transport: 'unix', path });
  });

  it('reads an IPv6 address with a zone', () => {
    expect(parseEndpoint('tcp://[fe80::1%eth0]:80')).toEqual({ transport: 'tcp', host: 'fe80::1%eth0', port: 80 });
  });

  it.each([
    ['unix:///a%zz', 'has a malformed percent-encoding in its path'],
    ['unix:///a%00b', 'has a malformed percent-encoding in its path'],
    ['unix:/%2F', 'must name a socket, not the root folder'],
    ['unix:///a b', 'must hold no blanks or control characters'],
    ['unix:///a\n', 'must hold no blanks or control characters'],
    [' unix:///a', 'is not a URI: it has no scheme'],
    ['unix:///a?', 'must not have a query'],
    ['unix:///a#', 'must not have a fragment'],
    ['unix://@/a', 'must not have user information'],
    ['tcp://[127.0.0.1]:80', 'must have an IP address as its host'],
    ['tcp://::1:80', 'must have a host'],
    ['tcp://127.1:80', 'must have an IP address as its host'],
    ['tcp://127.0.0.1:', 'must have a port'],
    ['tcp://127.0.0.1:+80', 'must have a port from 1 to 65535'],
  ])('refuses %j', (address, rule) => {
    expect(() => parseEndpoint(address)).toThrow(`Workload API address ${rule}`);
  });

  it('shows no more than the beginning of a long address', () => {
    expect(() => parseEndpoint(`http://${'x'.repeat(10_000)}`)).toThrow(/^.{0,300}$/);
  });
});

describe('parseEndpoint with host names', () => {
  const parse = (address: string) => parseEndpoint(address, { hostNames: true });

  it.each(['localhost', 'broker.example.com', 'a-b.example', '10.0.0.1'])('accepts %s', (host) => {
    expect(parse(`tcp://${host}:1`)).toEqual({ transport: 'tcp', host, port: 1 });
  });

  it.each([
    '-a.example',
    'a-.example',
    'a..example',
    'a_b.example',
    '10.0.0.256',
    '[localhost]',
    `${'a'.repeat(64)}.b`,
  ])('refuses %s', (host) => {
    expect(() => parse(`tcp://${host}:1`)).toThrow('must have an IP address or a DNS name as its host');
  });
});

describe('parseEndpoint, whatever it is given', () => {
  const piece = fc.oneof(
    fc.constantFrom('unix:', 'tcp:', '//', '/', 'a', '127.0.0.1', '[::1]', ':80', '@', '?', '#', '%2f', '%', ' ', '..'),
    fc.string({ unit: 'binary', maxLength: 3 }),
  );

  it('names a broken rule, or an endpoint that a URL parser finds there too', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const address = pieces.join('');
        let endpoint: WorkloadEndpoint;
        try {
          endpoint = parseEndpoint(address);
        } catch (error) {
          expect(error).toMatchObject({ name: 'FinialError', code: 'invalid-argument' });
          return;
        }
        // An address with a zone is none that a URL may hold.
        if (endpoint.transport === 'tcp' && endpoint.host.includes('%')) return;
        const url = new URL(address);
        expect(url).toMatchObject({ protocol: `${endpoint.transport}:`, search: '', hash: '', username: '' });
        if (endpoint.transport === 'tcp') expect(Number(url.port)).toBe(endpoint.port);
        else expect(endpoint.path).toMatch(/^\/[^/\0]/);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('workloadEndpoint', () => {
  const env = { [ENDPOINT_VARIABLE]: 'unix:///from/environment' };

  it('takes the address given before that of the environment', () => {
    expect(workloadEndpoint('unix:///given', env)).toEqual({ transport: 'unix', path: '/given' });
    expect(workloadEndpoint(undefined, env)).toEqual({ transport: 'unix', path: '/from/environment' });
  });

  it.each([
    ['nothing', undefined, {}],
    ['an empty variable', undefined, { [ENDPOINT_VARIABLE]: '' }],
    ['an empty address, which is not an absent one', '', env],
  ])('says what to do about %s', (_what, address, environment) => {
    expect(() => workloadEndpoint(address, environment)).toThrow('pass one or set SPIFFE_ENDPOINT_SOCKET');
  });
});
