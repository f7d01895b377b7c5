import { createPrivateKey, createPublicKey } from 'node:crypto';
import { authenticateWitSvid } from '../../../spiffe/wit/authenticate.ts';
import { type ConfirmationKey, readWitSvidKey } from '../../../spiffe/wit/confirmation.ts';
import { tokenHash } from '../../../spiffe/wit/proof.ts';
import { parseWitSvid } from '../../../spiffe/wit/token.ts';
import { verifyUnprovenWitSvid } from '../../../spiffe/wit/verify.ts';
import { trustDomainOf } from '../../../spiffe/id.ts';
import { ecKey } from '../keys.ts';
import { mixed, mutateBytes } from '../mutate/bytes.ts';
import { jsonMutator } from '../mutate/json.ts';
import { type SignToken, tokenMutator } from '../mutate/token.ts';
import { laterOutcomeOf, must, mustBeSame, outcomeOf, ruleOf, type Target } from '../target.ts';
import { HEADER_NAMES, HEADER_TEXTS, signByHeader, tellsNothing, TIMES, TOKEN_NOW } from './jwt-svid.ts';
import { spiffeErrors } from './refusal.ts';
import { authoritiesOf, isRight, signAs, TOKEN_KEYS } from './signing.ts';

/** The key that WIT-SVIDs are bound to. */
const HOLDER = ecKey('P-256', 'holder');
export const holderPrivateJwk = HOLDER.privateKey.export({ format: 'jwk' });
export const holderJwk = createPublicKey(HOLDER.privateKey).export({ format: 'jwk' });

const JWK_NAMES = ['kty', 'crv', 'x', 'y', 'n', 'e', 'd', 'p', 'q', 'k', 'alg', 'use', 'kid', 'key_ops', 'x5c'];
const CLAIM_NAMES = ['sub', 'cnf', 'jwk', 'jku', 'jwe', 'kid', 'exp', 'nbf', 'iat', 'iss', 'jti', 'aud', ...JWK_NAMES];
const CLAIM_TEXTS = [
  ...['spiffe://example.org/x', 'spiffe://other.org/x', 'spiffe://example.org', 'EC', 'RSA', 'OKP', 'oct', 'P-256'],
  ...['P-384', 'ES256', 'RS256', 'HS256', 'none', 'AQAB', 'AQ', 'enc', 'sig', holderJwk.x ?? '', holderJwk.y ?? ''],
];

const expected = { authorities: authoritiesOf, now: TOKEN_NOW * 1000 } as const;
const isRefusal = spiffeErrors('invalid-wit-svid', 'untrusted-wit-svid');

/** WIT-SVIDs: whatever is accepted was signed by a key of its own trust domain, by OpenSSL, and binds a public key. */
export const witSvidTarget: Target = {
  name: 'wit-svid',
  maxLength: 8192,
  mutate: mixed(
    [
      9,
      tokenMutator({ header: [HEADER_NAMES, HEADER_TEXTS], payload: [CLAIM_NAMES, CLAIM_TEXTS, TIMES] }, signByHeader),
    ],
    [1, mutateBytes],
  ),
  async execute(input) {
    const token = input.toString('latin1');
    const read = outcomeOf(() => parseWitSvid(token), spiffeErrors('invalid-wit-svid'));
    const outcome = await laterOutcomeOf(() => verifyUnprovenWitSvid(token, expected), isRefusal);
    for (const one of [read, outcome]) if ('refused' in one) tellsNothing(one.refused, token);
    must('value' in read || 'refused' in outcome, 'what is accepted can be read');
    if ('refused' in outcome) return `${'value' in read} ${ruleOf(outcome.refused)}`;
    const { id, keyId, confirmation, expiresAt, notBefore, claims } = outcome.value;
    const [header = '', payload = '', signature = ''] = token.split('.');
    const { alg } = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as { alg: string };
    const authority = authoritiesOf(trustDomainOf(id))?.find((one) => one.keyId === keyId);
    must(authority !== undefined, 'an authority of the own trust domain');
    const key = createPublicKey({ key: authority.publicKey, format: 'der', type: 'spki' });
    const isSigned = isRight(alg, key, `${header}.${payload}`, Buffer.from(signature, 'base64url'));
    must(isSigned, 'a signature that OpenSSL finds right');
    const theirs: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    mustBeSame(JSON.stringify(claims), JSON.stringify(theirs), 'the claims by JSON.parse');
    mustBeSame(confirmation.key.type, 'public', 'a public key');
    must(!('aud' in claims), 'no audience');
    must(expiresAt > TOKEN_NOW - 60 && (notBefore ?? 0) <= TOKEN_NOW, 'a time at which it holds');
    return 'accepted';
  },
};

/** A WIT-SVID of the holder, for as long as all tokens hold. RSA signatures are the same each time. */
export const wit = ((): string => {
  const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const cnf = { jwk: { ...holderJwk, alg: 'ES256' } };
  const claims = { sub: 'spiffe://example.org/x', cnf, exp: TOKEN_NOW + 3600 };
  const signed = `${encoded({ alg: 'RS256', kid: 'rsa', typ: 'wit+jwt' })}.${encoded(claims)}`;
  const key = TOKEN_KEYS['rsa'];
  const signature = key && signAs('RS256', key, signed);
  if (signature === undefined) throw new RangeError('no RSA key');
  return `${signed}.${signature.toString('base64url')}`;
})();

const signProof: SignToken = (signed, header, random) =>
  signAs(
    /"alg":"ES256"/.test(header.toString('utf8')) ? 'ES256' : 'RS256',
    random.oneIn(20) ? ecKey('P-256', 'x') : HOLDER,
    signed,
  );

const PROOF_NAMES = ['aud', 'exp', 'jti', 'wth', 'htm', 'ath', 'tth', 'oth', 'iat', 'nbf', 'iss', 'sub'];
const PROOF_TEXTS = ['https://a.example/x', 'a', 'GET', tokenHash(wit), tokenHash('t'), 'wpt+jwt', 'wit+jwt', 'ES256'];

/** The proof that a well-made one differs from. */
export function proofSeed(): Buffer {
  const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    aud: 'https://a.example/x',
    exp: TOKEN_NOW + 30,
    jti: 'AAAAAAAAAAAAAAAAAAAAAA',
    wth: tokenHash(wit),
  };
  const signed = `${encoded({ alg: 'ES256', typ: 'wpt+jwt' })}.${encoded(claims)}`;
  return Buffer.from(`${signed}.${signAs('ES256', HOLDER, signed)?.toString('base64url')}`);
}

/** Proofs of possession: whatever is accepted was signed by the holder's key and names this WIT-SVID and recipient. */
export const witProofTarget: Target = {
  name: 'wit-proof',
  maxLength: 4096,
  mutate: mixed(
    [9, tokenMutator({ header: [HEADER_NAMES, PROOF_TEXTS], payload: [PROOF_NAMES, PROOF_TEXTS, TIMES] }, signProof)],
    [1, mutateBytes],
  ),
  async execute(input) {
    const proof = input.toString('latin1');
    const audience = ['https://a.example/x'];
    const outcome = await laterOutcomeOf(() => authenticateWitSvid(wit, proof, { ...expected, audience }), isRefusal);
    if ('refused' in outcome) {
      tellsNothing(outcome.refused, proof);
      return ruleOf(outcome.refused);
    }
    const [header = '', payload = '', signature = ''] = proof.split('.');
    const key = createPublicKey(HOLDER.privateKey);
    const bytes = Buffer.from(signature, 'base64url');
    must(isRight('ES256', key, `${header}.${payload}`, bytes), "a signature by the holder's key, by OpenSSL");
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
    must([claims['aud']].flat().includes(audience[0]), 'the recipient is named');
    mustBeSame(claims['wth'], tokenHash(wit), 'the WIT-SVID is named');
    must(typeof claims['exp'] === 'number' && claims['exp'] > TOKEN_NOW - 60, 'it has not expired');
    return 'accepted';
  },
};

const confirmation: ConfirmationKey = { key: createPublicKey(HOLDER.privateKey), algorithm: 'ES256' };

/** Private keys of WIT-SVIDs, as the agent sends them: only the one that the token is bound to will do. */
export const witKeyTarget: Target = {
  name: 'wit-key',
  maxLength: 4096,
  mutate: mixed([9, jsonMutator(JWK_NAMES, [...CLAIM_TEXTS, holderPrivateJwk.d ?? ''])], [1, mutateBytes]),
  execute(input) {
    const outcome = outcomeOf(() => readWitSvidKey(input.toString('utf8'), confirmation), spiffeErrors('invalid-key'));
    if ('refused' in outcome) {
      mustBeSame(outcome.refused.cause, undefined, 'the error tells nothing of the key');
      return ruleOf(outcome.refused);
    }
    const { privateKey } = outcome.value;
    const again = createPrivateKey({
      key: privateKey.export({ type: 'pkcs8', format: 'der' }),
      format: 'der',
      type: 'pkcs8',
    });
    must(createPublicKey(again).equals(confirmation.key), 'the key of the token, by OpenSSL');
    return 'accepted';
  },
};
