import { createPublicKey } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { beforeAll, describe, expect } from 'vitest';
import { authorizationHeader, authorizationMetadata, bearerHeaders } from '../../client/bearer.ts';
import { bundleToSpiffeJson } from '../../spiffe/bundle/json.ts';
import { parseSpiffeId, spiffeId } from '../../spiffe/id.ts';
import { isJwsAlgorithm, SIGNING } from '../../spiffe/jwt/algorithm.ts';
import { jwtSvidClaims, signClaims } from '../../spiffe/jwt/sign.ts';
import { KEY_TYPES } from '../../spiffe/signer.ts';
import { generateSigner } from '../../spiffe/x509/key.ts';
import type { IssuedJwtSvid } from '../../server/issuance/issue.ts';
import { trustDomain } from '../support/authorities.ts';
import { documentText } from '../support/documents.ts';
import { issuingServer, type IssuingServer } from '../support/issuing.ts';
import { type JwtInput, NOW, run } from '../vectors/run/jwt-svid.ts';
import type { MadeToken } from '../vectors/run/token-input.ts';
import { row } from './row.ts';

// The vectors of test/vectors/jwt-svid.json say more of every rule. Here each row is shown once in each direction.

const judge =
  (token: MadeToken = {}, rest: Omit<JwtInput, 'token'> = {}) =>
  async () =>
    run({ token, ...rest });
const withHeader = (header: object) => judge({ header: { ...header } });
const withClaims = (claims: object, rest: Omit<JwtInput, 'token'> = {}) => judge({ claims: { ...claims } }, rest);
const good = judge();

const ALGORITHM = /signature algorithm is missing or not allowed/;
const TYPE = /type is neither JWT nor JOSE/;
const SIGNATURE = /token signature cannot be verified/;
const AUDIENCE = /expected audience in/;
const PARTS = /not three parts/;

const id = spiffeId(trustDomain, '/web');
let server: IssuingServer;
let issued: IssuedJwtSvid;
beforeAll(async () => {
  server = await issuingServer();
  issued = await server.issuer.jwtSvid({ id, audience: ['a'], ttl: 0, includeJti: true });
});
const issue = (audience: readonly string[], of = id) =>
  server.issuer.jwtSvid({ id: of, audience, ttl: 0, includeJti: false });

/** The JWT authorities in the bundle document of the server. */
async function publishedKeys(): Promise<readonly Record<string, unknown>[]> {
  const { keys } = JSON.parse(bundleToSpiffeJson(await server.bundle())) as {
    keys: readonly Record<string, unknown>[];
  };
  return keys.filter(({ x5c }) => x5c === undefined);
}

describe('1, 2: the form of a token', () => {
  row('JWT-01')
    .accepts('what we issue: three parts', async () => {
      expect(issued.token.split('.')).toHaveLength(3);
      await server.verifyJwt(issued.token);
    })
    .refuses('two parts', judge({ join: '{header}.{payload}' }), PARTS);

  row('JWT-02')
    .accepts('compact form', good)
    .refuses(
      'flattened JSON',
      judge({ join: '{"protected":"{header}","payload":"{payload}","signature":"{signature}"}' }),
      PARTS,
    )
    .refuses('general JSON', judge({ join: '{"payload":"{payload}","signatures":[]}' }), PARTS)
    .shows('that we issue neither', () => expect(issued.token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/));

  row('JWT-03')
    .accepts('a JWS', good)
    .refuses('a JWE', judge({ join: '{header}.AAAA.AAAA.AAAA.AAAA' }), PARTS);

  row('JWT-04').shows('the header of what we issue', () => {
    expect(Object.keys(decodeProtectedHeader(issued.token)).sort()).toEqual(['alg', 'kid', 'typ']);
  });

  row('JWT-05')
    .accepts('no others', good)
    .refuses(
      'the key of an attacker',
      judge({ key: 'other', header: { kid: 'p256', jwk: '$public:other' } }),
      /more than alg/,
    )
    .refuses(
      'the key of an attacker even where headers are passed over',
      judge({ key: 'other', header: { kid: 'p256', jwk: '$public:other' } }, { expected: { extraHeaders: 'ignore' } }),
      SIGNATURE,
    )
    .refuses('jku', withHeader({ jku: 'https://example.org' }), /more than alg, kid and typ/)
    .refuses(
      'crit',
      judge({ header: { crit: ['x'], x: 1 } }, { expected: { extraHeaders: 'ignore' } }),
      /critical headers/,
    );

  row('JWT-06').shows('what every type of key signs with', async () => {
    expect(KEY_TYPES.every((type) => isJwsAlgorithm(SIGNING[type].name))).toBe(true);
    const signer = await generateSigner('ec-p384');
    const token = await signClaims({ signer, keyId: 'k', type: 'JWT', claims: {} });
    expect(decodeProtectedHeader(token).alg).toBe('ES384');
    expect(decodeProtectedHeader(issued.token).alg).toBe('ES256');
  });

  row('JWT-07')
    .accepts('RS512', judge({ key: 'rsa', header: { alg: 'RS512' } }))
    .accepts('PS384', judge({ key: 'rsa', header: { alg: 'PS384' } }))
    .accepts('ES512', judge({ key: 'p521', header: { alg: 'ES512' } }))
    .refuses('none', judge({ header: { alg: 'none' }, signature: 'none' }), ALGORITHM)
    .refuses('HMAC with the public key', judge({ header: { alg: 'HS256' }, signature: 'hmac' }), ALGORITHM)
    .refuses('EdDSA', judge({ key: 'ed', header: { alg: 'EdDSA' } }), ALGORITHM)
    .refuses('ES256K', judge({ key: 'k1', header: { alg: 'ES256K' } }), ALGORITHM)
    .refuses('lower case', withHeader({ alg: 'es256' }), ALGORITHM)
    .refuses('nothing', judge({ withoutHeader: ['alg'] }), ALGORITHM);

  row('JWT-08')
    .accepts('one of the nine, then the rest', good)
    .refuses('HS256 before it looks at the payload', judge({ header: { alg: 'HS256' }, claims: 'no JSON' }), ALGORITHM)
    .refuses('HS256 before it looks at type and key ID', withHeader({ alg: 'HS256', typ: 'x', kid: 1 }), ALGORITHM)
    .refuses('HS256 before it looks for keys', withHeader({ alg: 'HS256', kid: 'unknown' }), ALGORITHM);

  row('JWT-09')
    .accepts('ES384 with P-384', judge({ key: 'p384', header: { alg: 'ES384' } }))
    .refuses('ES256 with P-384', judge({ key: 'p384' }), SIGNATURE)
    .refuses('ES256 with RSA', judge({ key: 'rsa' }), SIGNATURE)
    .refuses('ES512 with P-256', withHeader({ alg: 'ES512' }), SIGNATURE);

  row('JWT-10')
    .accepts(
      'a token without, where all keys of the domain may be tried',
      judge({ withoutHeader: ['kid'] }, { expected: { keyId: 'optional' } }),
    )
    .refuses('a token without, by default', judge({ withoutHeader: ['kid'] }), /token header missing key id/)
    .shows('that we always set it', async () => {
      const { kid } = decodeProtectedHeader(issued.token);
      expect((await server.bundle()).jwtAuthorities.map(({ keyId }) => keyId)).toContain(kid);
    });

  row('JWT-11')
    .accepts('JWT, as we issue it', async () => {
      expect(decodeProtectedHeader(issued.token).typ).toBe('JWT');
      await server.verifyJwt(issued.token);
    })
    .accepts('JOSE', withHeader({ typ: 'JOSE' }))
    .accepts('none', judge({ withoutHeader: ['typ'] }))
    .refuses('wit+jwt', withHeader({ typ: 'wit+jwt' }), TYPE)
    .refuses('at+jwt', withHeader({ typ: 'at+jwt' }), TYPE)
    .refuses('jwt', withHeader({ typ: 'jwt' }), TYPE);
});

describe('3: claims', () => {
  row('JWT-12').accepts('more claims, and hands them out', async () => {
    expect((await run({ token: { claims: { 'example.org/x': 1 } } })).claims['example.org/x']).toBe(1);
  });

  row('JWT-13')
    .accepts('what we issue', async () => expect((await server.verifyJwt(issued.token)).id).toBe(id))
    .refuses('none', judge({ withoutClaims: ['sub'] }), /token missing subject claim/)
    .refuses('a number', withClaims({ sub: 1 }), /not a string/)
    .refuses('another URI', withClaims({ sub: 'https://td1.test/web' }), /scheme is missing or invalid/)
    .refuses(
      'to issue for another trust domain',
      () => issue(['a'], parseSpiffeId('spiffe://other.test/x')),
      /not a member/,
    );

  row('JWT-14')
    .shows('the audience of what we issue', () => expect(decodeJwt(issued.token).aud).toEqual(['a']))
    .refuses('to issue for nobody', () => issue([]), /audience: cannot be empty/)
    .refuses('to issue for nobody of a name', () => issue(['']), /audience: cannot be empty/);

  row('JWT-15')
    .accepts('one', good)
    .refuses('none', judge({ withoutClaims: ['aud'] }), AUDIENCE)
    .refuses('an empty list', withClaims({ aud: [] }), AUDIENCE);

  row('JWT-16')
    .accepts('the own', withClaims({ aud: ['x', 'a'] }))
    .refuses('another', withClaims({ aud: ['b'] }), AUDIENCE);

  row('JWT-17')
    .accepts('one', good)
    .refuses('none', judge({}, { expected: { audience: [] } }), /an audience must be expected/)
    .refuses('one without a name', judge({}, { expected: { audience: [''] } }), /an audience must be expected/);

  row('JWT-18')
    .accepts('any of the own names', withClaims({ aud: ['a', 'b'] }, { expected: { audience: ['b', 'c'] } }))
    .refuses(
      'none of the own names',
      withClaims({ aud: ['a', 'b'] }, { expected: { audience: ['c', 'd'] } }),
      AUDIENCE,
    );

  row('JWT-19').shows('that the docs ask for one', () => {
    expect(documentText('decisions/0004-jwt-and-bundle-reading.md')).toContain('Ask for one audience per token');
  });

  row('JWT-20').shows('that the docs ask for the name of one service', () => {
    const text = documentText('decisions/0004-jwt-and-bundle-reading.md');
    expect(text).toContain('the name of one service, not of an environment or a trust domain');
  });

  row('JWT-21').shows('the end of what we issue', () => expect(decodeJwt(issued.token).exp).toBe(issued.expiresAt));

  row('JWT-22')
    .accepts('one', good)
    .refuses('none', judge({ withoutClaims: ['exp'] }), /token missing exp claim/)
    .refuses('text', withClaims({ exp: `${NOW + 60}` }), /token exp claim is not a time/);

  row('JWT-23')
    .accepts('within the leeway', withClaims({ exp: NOW - 59 }))
    .refuses('at its end', withClaims({ exp: NOW - 60 }), /token has expired/)
    .refuses('at once without leeway', withClaims({ exp: NOW }, { expected: { leeway: 0 } }), /token has expired/);

  row('JWT-24').shows('five minutes by default', () => {
    expect(documentText('reference/configuration.md')).toContain(
      '| `server.default_jwt_svid_ttl` | duration | `5m0s` |',
    );
  });
});

describe('4: signing and validation', () => {
  row('JWT-25')
    .accepts('the key of the trust domain', judge({ key: 'other', claims: { sub: 'spiffe://td2.test/x' } }))
    .refuses('the key of another', judge({ key: 'other' }), /"other" not found in trust domain "td1.test"/)
    .refuses('the key of another under a known kid', judge({ key: 'other', header: { kid: 'p256' } }), SIGNATURE);

  row('JWT-26')
    .accepts('a fraction of a second', withClaims({ exp: NOW + 0.5 }, { expected: { leeway: 0 } }))
    .accepts('an audience as text', withClaims({ aud: 'a' }))
    .refuses(
      'a fraction of a second ago',
      withClaims({ exp: NOW - 0.5 }, { expected: { leeway: 0 } }),
      /token has expired/,
    )
    .refuses('an audience in another case', withClaims({ aud: 'A' }), AUDIENCE);

  row('JWT-27')
    .accepts('times that have come', withClaims({ nbf: NOW - 1, iat: NOW - 1 }))
    .refuses('nbf in an hour', withClaims({ nbf: NOW + 3600 }), /token is not valid yet/)
    .refuses('iat in an hour', withClaims({ iat: NOW + 3600 }), /token is issued in the future/)
    .shows('that we do not post-date', () => {
      const { iat = Infinity, nbf } = decodeJwt(issued.token);
      expect(iat).toBeLessThanOrEqual(server.machine.clock.now() / 1000);
      expect(nbf).toBeUndefined();
    });
});

describe('5: transmission', () => {
  row('JWT-28').shows('the header of HTTP', () => {
    expect(authorizationHeader(issued.token)).toBe(`Bearer ${issued.token}`);
    expect(Object.keys(bearerHeaders('https://example.org', issued.token))).toEqual(['authorization']);
  });

  row('JWT-29').shows('the metadata of gRPC', () => {
    expect(authorizationMetadata(issued.token)).toEqual(['authorization', `Bearer ${issued.token}`]);
  });
});

describe('6: the bundle', () => {
  row('JWT-30').shows('the use of what we publish', async () => {
    expect(await publishedKeys()).toMatchObject([{ use: 'jwt-svid' }]);
  });

  row('JWT-31').shows('the kid of what we publish, under which its key verifies what we issue', async () => {
    const [{ kid, ...jwk } = {}] = await publishedKeys();
    expect(kid).toBe(decodeProtectedHeader(issued.token).kid);
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const [authority] = (await server.bundle()).jwtAuthorities;
    expect(key.export({ format: 'der', type: 'spki' })).toEqual(authority?.publicKey);
  });

  row('JWT-32')
    .accepts('a key for it', judge({}, { bundles: { 'td1.test': [{ key: 'p256', use: 'jwt-svid' }] } }))
    .refuses(
      'a key for WIT-SVIDs',
      judge({}, { bundles: { 'td1.test': [{ key: 'p256', use: 'wit-svid' }] } }),
      /"p256" not found/,
    )
    .refuses(
      'a key for X509-SVIDs',
      judge({}, { bundles: { 'td1.test': [{ key: 'p256', use: 'x509-svid' }] } }),
      /"p256" not found/,
    );

  row('JWT-33')
    .accepts('a trust domain with one', good)
    .refuses(
      'a trust domain without',
      judge({}, { bundles: { 'td1.test': [] } }),
      /not found in trust domain "td1.test"/,
    )
    .refuses(
      'a trust domain without, no kid',
      judge({ withoutHeader: ['kid'] }, { bundles: { 'td1.test': [] }, expected: { keyId: 'optional' } }),
      /no keys found for trust domain "td1.test"/,
    );
});

describe('7: security considerations', () => {
  row('JWT-34')
    .accepts('a token twice', judge({ claims: { jti: 'x' } }, { do: 'verifyTwice' }))
    .accepts('what we issue with a jti', async () => {
      expect(decodeJwt(issued.token).jti).toMatch(/^[\w-]{22}$/);
      await server.verifyJwt(issued.token);
    });

  row('JWT-35')
    .shows('that a token goes over https', () => {
      expect(bearerHeaders('https://example.org', issued.token)).toHaveProperty('authorization');
    })
    .refuses('http', () => bearerHeaders('http://example.org', issued.token), /over https only/);

  row('JWT-36').shows('the types that we write', () => {
    const template = { id, audience: ['a'], issuedAt: 1, expiresAt: 2 };
    expect(jwtSvidClaims(template)).toMatchObject({ aud: ['a'], exp: 2, iat: 1 });
    expect(() => jwtSvidClaims({ ...template, expiresAt: 2.5 })).toThrow('not a whole number');
    expect(Number.isInteger(decodeJwt(issued.token).exp)).toBe(true);
  });
});
