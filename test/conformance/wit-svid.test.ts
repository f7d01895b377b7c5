import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { beforeAll, describe, expect } from 'vitest';
import { authorizationHeader } from '../../client/bearer.ts';
import { emptyBundle } from '../../spiffe/bundle/bundle.ts';
import { bundleToSpiffeJson, readSpiffeBundle } from '../../spiffe/bundle/json.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import { isJwsAlgorithm, SIGNING } from '../../spiffe/jwt/algorithm.ts';
import { KEY_TYPES } from '../../spiffe/signer.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { readWitSvidKey } from '../../spiffe/wit/confirmation.ts';
import { proofAudience, witCredentialsOf, witHeaders } from '../../spiffe/wit/http.ts';
import { signWorkloadProof, type WorkloadProofTemplate } from '../../spiffe/wit/proof.ts';
import { SPIFFE_REVISION, WIT_DRAFT, WPT_DRAFT } from '../../spiffe/wit/revision.ts';
import { signWitSvid, type WitSvidTemplate, witSvidClaims } from '../../spiffe/wit/sign.ts';
import { parseWitSvid } from '../../spiffe/wit/token.ts';
import { signerFromPrivateKey } from '../../spiffe/x509/key.ts';
import { newMachine, startOn } from '../support/authorities.ts';
import { documentText } from '../support/documents.ts';
import { readImports, sourceFiles } from '../support/imports.ts';
import { run as runJwt } from '../vectors/run/jwt-svid.ts';
import { AUDIENCE, NOW, run, type WitInput } from '../vectors/run/wit-svid.ts';
import { jwkOf, keyPair, type MadeToken, type TokenInput } from '../vectors/run/token-input.ts';
import { row } from './row.ts';

// The vectors of test/vectors/wit-svid.json say more of every rule. Here each row is shown once in each direction.

const does = (input: WitInput) => async () => run(input);
const judge = (wit: MadeToken = {}, rest: object = {}) => does({ wit, ...rest });
const withHeader = (header: object) => judge({ header: { ...header } });
const withClaims = (claims: object, expected: object = {}) => judge({ claims: { ...claims } }, { expected });
const withJwk = (name: string, jwk: object) => withClaims({ cnf: { jwk: { $jwk: `public:${name}`, ...jwk } } });
const prove = (proof: TokenInput | null = {}, rest: object = {}) =>
  does({ do: 'authenticate', proofs: [proof], ...rest });
const proveWith = (claims: object, expected: object = {}) => prove({ claims: { ...claims } }, { expected });
const good = judge();

const ALGORITHM = /signature algorithm is missing or not allowed/;
const TYPE = /type is not wit\+jwt/;
const PARTS = /not three parts/;
const KEY_ID = /token header missing key id/;
const CNF_ALG = /token cnf claim: alg is missing or not allowed/;
const NO_PROOF = /comes without a proof of possession/;

const template: WitSvidTemplate = {
  id: parseSpiffeId('spiffe://td1.test/web'),
  confirmation: { key: keyPair('mine').publicKey, algorithm: 'ES256' },
  expiresAt: NOW + 3600,
};
const issue = (over: Partial<WitSvidTemplate> = {}): Promise<string> => {
  const signer = signerFromPrivateKey(keyPair('p256').privateKey);
  return signWitSvid({ ...template, ...over, signer, keyId: 'p256' });
};
let issued: string;
let proofTemplate: WorkloadProofTemplate;
beforeAll(async () => {
  issued = await issue({ issuedAt: NOW, notBefore: NOW - 60, random: randomBytes(16) });
  const key = readWitSvidKey(JSON.stringify(jwkOf('private', 'mine')), parseWitSvid(issued).confirmation);
  proofTemplate = { wit: issued, key, audience: AUDIENCE, now: NOW * 1000, random: randomBytes(16) };
});
const showsNine = (): void => {
  expect(KEY_TYPES.every((type) => isJwsAlgorithm(SIGNING[type].name))).toBe(true);
  expect(decodeProtectedHeader(issued).alg).toBe('ES256');
};
const acceptsIssued = async () => run({ wit: { text: issued } });

const td = parseTrustDomain('td1.test');
const witAuthority = (keyId: string) => {
  const publicKey = keyPair('p256').publicKey.export({ format: 'der', type: 'spki' });
  return { publicKey, keyId, expiresAt: 0, tainted: false };
};
const publish = (jwt: readonly string[], wit: readonly string[]) => {
  const authorities = { jwtAuthorities: jwt.map(witAuthority), witAuthorities: wit.map(witAuthority) };
  return bundleToSpiffeJson({ ...emptyBundle(td), ...authorities }, { wit: true });
};

describe('1, 2: the form of a token', () => {
  row('WIT-01')
    .accepts('what we issue: three parts', acceptsIssued)
    .refuses(
      'JSON',
      judge({ join: '{"protected":"{header}","payload":"{payload}","signature":"{signature}"}' }),
      PARTS,
    );

  row('WIT-02')
    .accepts('what we issue', async () => {
      expect(decodeProtectedHeader(issued).kid).toBe('p256');
      await acceptsIssued();
    })
    .refuses('none', judge({ withoutHeader: ['kid'] }), KEY_ID)
    .refuses('an empty one', withHeader({ kid: '' }), KEY_ID);

  const listed = { bundles: { 'td1.test': [{ key: 'p256', kid: 'Ab', use: 'wit-svid' }] } };
  row('WIT-03')
    .accepts('the kid of the bundle', judge({ header: { kid: 'Ab' } }, listed))
    .refuses('the kid in another case', judge({ header: { kid: 'ab' } }, listed), /WIT key "ab" not found/);

  row('WIT-04')
    .shows('that the server names each key anew', async () => {
      const machine = newMachine();
      const authorities = await startOn(machine);
      const first = authorities.jwt.current?.keyId;
      await authorities.jwtRotation?.prepare();
      const second = authorities.jwtRotation?.next?.authorityId ?? '';
      await authorities.jwtRotation?.activate(second);
      expect(authorities.jwt.current?.keyId).toBe(second);
      expect(second).not.toBe(first);
    })
    .refuses(
      'a bundle with two keys of one name',
      () => {
        const key = { ...jwkOf('public', 'p256'), kid: 'k', use: 'wit-svid' };
        return readSpiffeBundle(
          JSON.stringify({ keys: [key, { ...jwkOf('public', 'p384'), kid: 'k', use: 'wit-svid' }] }),
          td,
        );
      },
      /key ID|kid/,
    );

  row('WIT-05')
    .accepts('what we issue', async () => {
      expect(decodeProtectedHeader(issued).typ).toBe('wit+jwt');
      await acceptsIssued();
    })
    .refuses('none', judge({ withoutHeader: ['typ'] }), TYPE)
    .refuses('JWT', withHeader({ typ: 'JWT' }), TYPE)
    .refuses('WIT+JWT', withHeader({ typ: 'WIT+JWT' }), TYPE);

  row('WIT-06').shows('what every type of key signs with', showsNine);

  row('WIT-07')
    .accepts('PS256', judge({ key: 'rsa', header: { alg: 'PS256' } }))
    .refuses('HMAC with the public key', judge({ header: { alg: 'HS256' }, signature: 'hmac' }), ALGORITHM)
    .refuses('none', judge({ header: { alg: 'none' }, signature: 'none' }), ALGORITHM)
    .refuses('EdDSA', judge({ key: 'ed', header: { alg: 'EdDSA' } }), ALGORITHM);

  row('WIT-08').shows('the header of what we issue', () => {
    expect(Object.keys(decodeProtectedHeader(issued)).sort()).toEqual(['alg', 'kid', 'typ']);
  });

  row('WIT-09').accepts('another header', withHeader({ x: 1 }));

  row('WIT-10')
    .accepts('another header without crit', withHeader({ x: 1 }))
    .refuses('the same with crit', withHeader({ crit: ['x'], x: 1 }), /critical headers are not understood/);
});

describe('3: claims', () => {
  row('WIT-11')
    .accepts('what we issue', async () => expect(await acceptsIssued()).toMatchObject({ id: 'spiffe://td1.test/web' }))
    .refuses('none', judge({ withoutClaims: ['sub'] }), /token missing subject claim/)
    .refuses('another URI', withClaims({ sub: 'wimse://td1.test/web' }), /scheme is missing or invalid/);

  row('WIT-12')
    .accepts('what we issue', acceptsIssued)
    .refuses('none', judge({ withoutClaims: ['cnf'] }), /token missing cnf claim/)
    .refuses('text', withClaims({ cnf: 'x' }), /token cnf claim is not an object/);

  row('WIT-13')
    .accepts('one public key', good)
    .refuses('none', withClaims({ cnf: { kid: 'x' } }), /has no jwk object/)
    .refuses('text', withClaims({ cnf: { jwk: 'x' } }), /has no jwk object/)
    .refuses(
      'a private key',
      withClaims({ cnf: { jwk: { $jwk: 'private:mine', alg: 'ES256' } } }),
      /private part of a key/,
    )
    .refuses('a point off the curve', withJwk('mine', { alg: 'ES256', x: 'A'.repeat(43) }), /the key is malformed/)
    .refuses(
      'to issue for a private key',
      () => issue({ confirmation: { key: keyPair('mine').privateKey, algorithm: 'ES256' } }),
      /a public key only/,
    );

  row('WIT-14')
    .accepts('one of the nine', withJwk('rsa', { alg: 'PS512' }))
    .refuses('none', withJwk('mine', {}), CNF_ALG)
    .refuses('a number', withJwk('mine', { alg: 1 }), CNF_ALG)
    .refuses('HS256', withJwk('mine', { alg: 'HS256' }), CNF_ALG)
    .refuses('EdDSA', withJwk('ed', { alg: 'EdDSA' }), CNF_ALG)
    .shows('what we issue', () => expect(decodeJwt(issued)['cnf']).toMatchObject({ jwk: { alg: 'ES256', kty: 'EC' } }));

  row('WIT-15')
    .accepts('ES384 with P-384', withJwk('p384', { alg: 'ES384' }))
    .refuses('ES256 with P-384', withJwk('p384', { alg: 'ES256' }), /alg is not one of the key/);

  row('WIT-16').shows('a jti on request', async () => {
    expect(decodeJwt(issued).jti).toBeDefined();
    expect(decodeJwt(await issue()).jti).toBeUndefined();
  });

  row('WIT-17')
    .shows('128 random bits', async () => {
      const ids = await Promise.all([randomBytes(16), randomBytes(16)].map((random) => issue({ random })));
      const [first, second] = ids.map((token) => decodeJwt(token).jti ?? '');
      expect(Buffer.from(first ?? '', 'base64url')).toHaveLength(16);
      expect(first).not.toBe(second);
    })
    .refuses('to issue with fewer', () => issue({ random: randomBytes(15) }), /16 random bytes or more/);

  row('WIT-18').shows('that one token with a jti serves two instances', async () => {
    const proofs = [{ claims: { jti: 'of one' } }, { claims: { jti: 'of another' } }];
    const peer = await run({ do: 'authenticate', wit: { claims: { jti: 'x' } }, proofs, once: true });
    expect(peer).toMatchObject({ svid: { tokenId: 'x' } });
  });

  const twice = { do: 'authenticate', once: true, wit: { claims: { jti: 'x' } } } as const;
  row('WIT-19').accepts(
    'a token twice, with two proofs',
    does({ ...twice, proofs: [{}, { claims: { jti: 'second' } }] }),
  );

  row('WIT-20')
    .accepts('what we issue', async () => {
      expect(decodeJwt(issued).exp).toBe(NOW + 3600);
      await acceptsIssued();
    })
    .refuses('none', judge({ withoutClaims: ['exp'] }), /token missing exp claim/);

  row('WIT-21')
    .accepts('an end to come', good)
    .refuses('one past', withClaims({ exp: NOW - 120 }), /token has expired/);

  row('WIT-22')
    .accepts('30 s past, 60 s allowed', withClaims({ exp: NOW - 30 }, { leeway: 60 }))
    .refuses('30 s past, none allowed', withClaims({ exp: NOW - 30 }, { leeway: 0 }), /token has expired/)
    .refuses('to allow 10 minutes', withClaims({}, { leeway: 600 }), /leeway is not 0 to 120 seconds/);

  row('WIT-23').shows('a beginning on request, also in the past', () => expect(decodeJwt(issued).nbf).toBe(NOW - 60));

  row('WIT-24')
    .accepts('a beginning that is now', withClaims({ nbf: NOW }))
    .refuses('one in 30 s', withClaims({ nbf: NOW + 30 }), /token is not valid yet/);

  row('WIT-25')
    .accepts('a day, of which a day is allowed', withClaims({ nbf: NOW, exp: NOW + 86_400 }, { maxLifetime: 86_400 }))
    .refuses(
      'a month',
      withClaims({ nbf: NOW, exp: NOW + 30 * 86_400 }, { maxLifetime: 86_400 }),
      /longer than is accepted/,
    );

  row('WIT-26').shows('when we issued, on request', () => expect(decodeJwt(issued).iat).toBe(NOW));

  row('WIT-27').accepts('issued in an hour', withClaims({ iat: NOW + 3600, exp: NOW + 7200 }));

  row('WIT-28').shows('no issuer, unless asked', async () => {
    expect(decodeJwt(issued).iss).toBeUndefined();
    expect(decodeJwt(await issue({ issuer: 'spiffe://td1.test' })).iss).toBe('spiffe://td1.test');
  });

  row('WIT-29')
    .shows('an issuer that nobody looks up', () => {
      expect(witSvidClaims({ ...template, issuer: 'urn:x' })).toMatchObject({ iss: 'urn:x' });
    })
    .refuses('to issue with an https URL', () => issue({ issuer: 'https://issuer.example' }), /an https URL/);

  row('WIT-30')
    .shows('no audience in what we issue', () => expect(decodeJwt(issued)).not.toHaveProperty('aud'))
    .refuses('to issue with one', () => issue({ extra: { aud: ['a'] } }), /aud cannot be set/);

  const AUD = /token has an aud claim/;
  row('WIT-31')
    .accepts('none', good)
    .refuses('a list', withClaims({ aud: ['a'] }), AUD)
    .refuses('an empty list', withClaims({ aud: [] }), AUD)
    .refuses('empty text', withClaims({ aud: '' }), AUD)
    .refuses('null', withClaims({ aud: null }), AUD);

  row('WIT-32').shows('more claims on request', async () => {
    expect(decodeJwt(await issue({ extra: { 'example.org/x': 1 } }))['example.org/x']).toBe(1);
  });

  row('WIT-33').accepts('more claims', withClaims({ x: { y: 1 } }));
});

describe('4: issuance and validation', () => {
  row('WIT-34').shows('what every type of key signs with', showsNine);

  row('WIT-35').shows('all six', async () => {
    const token = await issue();
    expect(Object.keys(decodeProtectedHeader(token)).sort()).toEqual(['alg', 'kid', 'typ']);
    expect(Object.keys(decodeJwt(token)).sort()).toEqual(['cnf', 'exp', 'sub']);
  });

  row('WIT-36').shows('jti, nbf and iat', () => {
    expect(Object.keys(decodeJwt(issued)).sort()).toEqual(['cnf', 'exp', 'iat', 'jti', 'nbf', 'sub']);
  });

  row('WIT-37').shows('that two tokens may be bound to one key', async () => {
    const other = await issue({ random: randomBytes(16) });
    expect(decodeJwt(other)['cnf']).toEqual(decodeJwt(issued)['cnf']);
    const proof = await signWorkloadProof({ ...proofTemplate, wit: other });
    const judged = run({ do: 'authenticate', wit: { text: other }, proofs: [{ text: proof }] });
    await expect(judged).resolves.toMatchObject({ svid: { state: 'authenticated' } });
  });

  row('WIT-38')
    .accepts('a token with a proof', prove())
    .refuses('a token without', prove(null), NO_PROOF)
    .shows('that verifying alone authenticates nobody', async () => {
      expect(await acceptsIssued()).toMatchObject({ state: 'unproven' });
      expect(parseWitSvid(issued)).toMatchObject({ state: 'unverified' });
    });
});

describe('5: presentation', () => {
  row('WIT-39')
    .accepts('a proof by the key of the token', prove())
    .refuses('a proof by another', prove({ key: 'other' }), /not signed by the key of the WIT-SVID/)
    .refuses(
      'to make a proof for the token of another key',
      async () => {
        const wit = await issue({ confirmation: { key: keyPair('other').publicKey, algorithm: 'ES256' } });
        return signWorkloadProof({ ...proofTemplate, wit });
      },
      /not that of the WIT-SVID/,
    );

  const credentials = () => ({ wit: issued, proof: 'a.b.c' });
  const headersOf = (authorization: readonly string[]) => {
    const { wit, proof } = credentials();
    return { identityTokens: [wit], proofTokens: [proof], authorization };
  };
  row('WIT-40')
    .shows('headers of its own', () => {
      const names = Object.keys(witHeaders('https://td1.test/', credentials()));
      expect(names).toEqual(['Workload-Identity-Token', 'Workload-Proof-Token']);
    })
    .refuses('to build a bearer token', () => authorizationHeader(issued), /not a bearer token/);

  row('WIT-41')
    .accepts('its own header', () => expect(witCredentialsOf(headersOf([])).wit).toBe(issued))
    .refuses('Authorization', () => witCredentialsOf(headersOf([`Bearer ${issued}`])), /not a bearer token/)
    .refuses('a WIT-SVID as a JWT-SVID', () => runJwt({ token: { text: issued } }), /type is neither JWT nor JOSE/);

  row('WIT-42')
    .accepts('a Workload Proof Token, as we make it', async () => {
      const proof = await signWorkloadProof(proofTemplate);
      await run({ do: 'authenticate', wit: { text: issued }, proofs: [{ text: proof }] });
    })
    .refuses('a token of another type', prove({ header: { typ: 'dpop+jwt' } }), /type is not wpt\+jwt/)
    .refuses('a proof for another token', proveWith({ wth: 'x' }), /not for this WIT-SVID/);

  row('WIT-43').shows('that the docs say that we have none', () => {
    expect(documentText('decisions/0016-wit-svid.md')).toContain('We offer no protocol of our own');
  });
});

describe('6: the bundle', () => {
  const published = () => (JSON.parse(publish([], ['w'])) as { keys: readonly object[] }).keys;
  row('WIT-44').shows('the use of what we publish', () => expect(published()).toMatchObject([{ use: 'wit-svid' }]));
  row('WIT-45').shows('the kid of what we publish', () => expect(published()).toMatchObject([{ kid: 'w' }]));

  row('WIT-46')
    .shows('a bundle with keys of both kinds', () => {
      const { bundle } = readSpiffeBundle(publish(['j'], ['w']), td);
      expect([bundle.jwtAuthorities, bundle.witAuthorities].map((keys) => keys.map(({ keyId }) => keyId))).toEqual([
        ['j'],
        ['w'],
      ]);
    })
    .refuses('to publish one name for both', () => publish(['k'], ['k']), /a JWT and a WIT authority have one key ID/)
    .refuses(
      'a token by a name for both',
      judge(
        { header: { kid: 'k' } },
        {
          bundles: {
            'td1.test': [
              { key: 'p256', kid: 'k', use: 'wit-svid' },
              { key: 'p384', kid: 'k' },
            ],
          },
        },
      ),
      /no WIT keys found/,
    );

  row('WIT-47')
    .accepts('a key for it', good)
    .refuses(
      'a key for JWT-SVIDs',
      judge({}, { bundles: { 'td1.test': [{ key: 'p256' }, { key: 'p384', use: 'wit-svid' }] } }),
      /WIT key "p256" not found/,
    );

  row('WIT-48')
    .accepts('a trust domain with one', good)
    .refuses('a trust domain without', judge({}, { bundles: { 'td1.test': [{ key: 'p256' }] } }), /no WIT keys found/);
});

describe('7: security considerations', () => {
  row('WIT-49')
    .accepts('a proof that ends', prove())
    .refuses('one that never does', prove({ withoutClaims: ['exp'] }), /token missing exp claim/)
    .refuses('one that has', proveWith({ exp: NOW - 1 }), /proof has expired/)
    .refuses('one that ends in an hour', proveWith({ exp: NOW + 3600 }), /proof lives longer than is accepted/)
    .refuses(
      'to make one that ends in an hour',
      () => signWorkloadProof({ ...proofTemplate, lifetime: 3600 }),
      /lives 1 to 300/,
    );

  row('WIT-50')
    .accepts('60 s', proveWith({ exp: NOW + 60 }))
    .accepts('more on request', proveWith({ exp: NOW + 300 }, { maxProofLifetime: 300 }))
    .refuses('61 s', proveWith({ exp: NOW + 61 }), /proof lives longer than is accepted/)
    .refuses('to allow an hour', proveWith({}, { maxProofLifetime: 3600 }), /maxProofLifetime is not up to 300 seconds/)
    .shows('30 s in what we make', async () => {
      expect(decodeJwt(await signWorkloadProof(proofTemplate)).exp).toBe(NOW + 30);
    });

  row('WIT-51')
    .accepts('a proof once', prove({}, { once: true }))
    .refuses('a proof twice', does({ do: 'authenticate', proofs: [{}, {}], once: true }), /proof was used before/);

  row('WIT-52')
    .accepts('a proof for this request', async () => {
      const proof = await signWorkloadProof({
        ...proofTemplate,
        audience: proofAudience('https://td1.test/a?x'),
        method: 'POST',
      });
      await run({ do: 'authenticate', wit: { text: issued }, proofs: [{ text: proof }], expected: { method: 'POST' } });
    })
    .refuses('one for another path', proveWith({ aud: 'https://td1.test/b' }), /proof is for/)
    .refuses('one for another method', proveWith({ htm: 'POST' }, { method: 'GET' }), /another method/)
    .refuses('one for another access token', proveWith({ ath: 'x' }, { tokens: { accessToken: 'y' } }), /access token/)
    .refuses('one for a token that is not there', proveWith({ oth: { 'x-user': 'x' } }), /other tokens/);

  row('WIT-53')
    .shows('that they go over https', () => {
      const headers = witHeaders('https://td1.test/', { wit: issued, proof: 'a.b.c' });
      expect(headers['Workload-Identity-Token']).toBe(issued);
    })
    .refuses('http', () => witHeaders('http://td1.test/', { wit: issued, proof: 'a.b.c' }), /over https only/);

  row('WIT-54').shows('the revisions, and that nothing of server, agent and command line takes part', () => {
    expect(SPIFFE_REVISION).toBe('665a28f');
    const text = documentText('decisions/0016-wit-svid.md');
    for (const revision of [SPIFFE_REVISION, WIT_DRAFT, WPT_DRAFT]) expect(text).toContain(revision);
    const root = path.resolve(import.meta.dirname, '../..');
    const houses = ['server', 'agent', 'cli', 'common', 'plugins'];
    const imports = readImports(root, sourceFiles(root, houses));
    expect(imports.length).toBeGreaterThan(500);
    expect(imports.filter(({ to }) => to.startsWith('spiffe/wit/'))).toEqual([]);
  });
});
