import { describe, expect, it } from 'vitest';
import { jwtAuthoritiesFromJwks } from '../../../spiffe/bundle/json.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import {
  next,
  openJwtBundles,
  openX509Bundles,
  testAuthority,
  testEntry,
  startedWorkloadApis,
} from '../../../test/support/workload-api.ts';

const start = startedWorkloadApis();

const other = parseTrustDomain('other.org');
const both = [
  ['X.509', openX509Bundles],
  ['JWT', openJwtBundles],
] as const;

describe('the streams of bundles', () => {
  it.each(both)('%s: own trust domain, and those that an identity federates with', async (_kind, open) => {
    const { authority, channel, setEntries, sign } = await start();
    const foreign = await testAuthority(other);
    setEntries([testEntry('a', ['u:1'], { federatesWith: [other] })], authority.bundle, [foreign.bundle]);
    sign();
    const stream = open(channel);
    expect(Object.keys((await next(stream)).bundles)).toEqual(['spiffe://example.org', 'spiffe://other.org']);
    await stream.return?.();
  });

  it.each(both)('%s: nothing for callers without an identity', async (_kind, open) => {
    const { channel, log } = await start();
    await expect(open(channel).next()).rejects.toMatchObject({
      code: 'permission-denied',
      message: 'no identity issued',
    });
    expect(log.map(({ message }) => message)).toEqual(['No identity issued']);
  });

  it.each(both)('%s: the own bundle for everybody when the operator allows it', async (_kind, open) => {
    const { authority, channel, setEntries } = await start({ allowUnauthenticatedVerifiers: true });
    const foreign = await testAuthority(other);
    setEntries([testEntry('a', ['u:2'], { federatesWith: [other] })], authority.bundle, [foreign.bundle]);
    const stream = open(channel);
    expect(Object.keys((await next(stream)).bundles)).toEqual(['spiffe://example.org']);
    await stream.return?.();
  });

  it.each(both)('%s: sent again only when they differ', async (_kind, open) => {
    const { authority, channel, setEntries, sign } = await start();
    const entry = testEntry('a', ['u:1']);
    setEntries([entry]);
    sign();
    const stream = open(channel);
    await next(stream);
    const second = next(stream);
    // A new SVID, and a change that no client would see.
    sign();
    setEntries([entry], { ...authority.bundle, sequenceNumber: 9n });
    const successor = await testAuthority(parseTrustDomain('example.org'));
    setEntries([entry], successor.bundle);
    const sent = (await second).bundles['spiffe://example.org'];
    const expected = successor.bundle.x509Authorities[0]?.certificate;
    if (open === openX509Bundles) expect(sent).toEqual(expected);
    else expect(jwtAuthoritiesFromJwks(sent ?? '')[0]?.publicKey).toEqual(successor.jwtSigner.publicKey);
    await stream.return?.();
  });
});

describe('FetchJWTBundles', () => {
  it('gives JWK Sets as the reference writes them, by key ID', async () => {
    const { authority, channel, setEntries, sign } = await start();
    const [key] = authority.bundle.jwtAuthorities;
    if (key === undefined) expect.fail();
    const jwtAuthorities = [
      { ...key, keyId: 'b' },
      { ...key, keyId: 'a' },
    ];
    setEntries([testEntry('a', ['u:1'])], { ...authority.bundle, jwtAuthorities });
    sign();
    const stream = openJwtBundles(channel);
    const text = (await next(stream)).bundles['spiffe://example.org']?.toString() ?? '';
    const { keys } = JSON.parse(text) as { keys: Record<string, string>[] };
    expect(keys.map((one) => Object.keys(one))).toEqual([1, 2].map(() => ['kty', 'kid', 'crv', 'x', 'y']));
    expect(keys.map(({ kid }) => kid)).toEqual(['a', 'b']);
    expect(text).toContain('\n    "keys": [\n        {\n            "kty": "EC"');
    await stream.return?.();
  });

  it('has an empty list where there are no keys yet', async () => {
    const { authority, channel, setEntries, sign } = await start();
    setEntries([testEntry('a', ['u:1'])], { ...authority.bundle, jwtAuthorities: [] });
    sign();
    const stream = openJwtBundles(channel);
    const text = (await next(stream)).bundles['spiffe://example.org']?.toString() ?? '';
    expect(JSON.parse(text)).toEqual({ keys: [] });
    await stream.return?.();
  });
});
