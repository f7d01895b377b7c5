import { createPublicKey } from 'node:crypto';
import { jwtVerify } from 'jose';
import { readUnverifiedJwtSvid, type VerifiedJwtSvid, verifyJwtSvid } from '../../../spiffe/jwt/verify.ts';
import { trustDomainOf } from '../../../spiffe/id.ts';
import { mixed, mutateBytes } from '../mutate/bytes.ts';
import { type SignToken, tokenMutator } from '../mutate/token.ts';
import { laterOutcomeOf, must, mustBeSame, outcomeOf, ruleOf, type Target } from '../target.ts';
import { spiffeErrors } from './refusal.ts';
import { ALGORITHMS, authoritiesOf, FOREIGN_KEY, isRight, signAs, TOKEN_KEYS } from './signing.ts';

/** Unix seconds of all tokens. */
export const TOKEN_NOW = 1_893_553_445;
const LEEWAY = 60;
/** Around the moments at which a verdict changes. */
export const TIMES = [-121, -61, -60, -59, -1, 0, 1, 30, 59, 60, 61, 299, 301].map((seconds) => TOKEN_NOW + seconds);

export const HEADER_NAMES = ['alg', 'kid', 'typ', 'crit', 'jwk', 'jku', 'x5c', 'b64', 'enc', 'cty'];
export const HEADER_TEXTS = [
  ...Object.keys(ALGORITHMS),
  ...[
    'none',
    'None',
    'HS256',
    'EdDSA',
    'ES256K',
    'es256',
    'JWT',
    'jwt',
    'JOSE',
    'wit+jwt',
    'application/jwt',
    'at+jwt',
  ],
  ...['p256', 'p384', 'p521', 'rsa', ''],
];
const CLAIM_NAMES = ['sub', 'aud', 'exp', 'nbf', 'iat', 'iss', 'jti', 'scope', '__proto__'];
const CLAIM_TEXTS = ['a', 'b', 'A', 'spiffe://example.org/x', 'spiffe://other.org/x', 'spiffe://example.org', 'x'];

/** With the key that the header asks for, mostly; else with one that should not do. */
export const signByHeader: SignToken = (signed, header, random) => {
  const algorithm = /"alg"\s*:\s*"([A-Z0-9]+)"/.exec(header.toString('utf8'))?.[1] ?? '';
  const row = ALGORITHMS[algorithm];
  const key = row && (random.oneIn(10) && row.keyId === 'p256' ? FOREIGN_KEY : TOKEN_KEYS[row.keyId]);
  return key && signAs(algorithm, key, signed);
};

const mutateToken = tokenMutator(
  { header: [HEADER_NAMES, HEADER_TEXTS], payload: [CLAIM_NAMES, CLAIM_TEXTS, TIMES] },
  signByHeader,
);

const expected = { audience: ['a'], authorities: authoritiesOf, now: TOKEN_NOW * 1000 } as const;
const isRefusal = spiffeErrors('invalid-jwt-svid', 'untrusted-jwt-svid');

/** JWT-SVIDs: whatever is accepted is so by jose and by OpenSSL, under the key of its own trust domain. */
export const jwtSvidTarget: Target = {
  name: 'jwt-svid',
  maxLength: 8192,
  mutate: mixed([9, mutateToken], [1, mutateBytes]),
  growth: ['.', 'A', 'eyJ'].map((piece) => ({
    what: `repeated ${piece}`,
    from: 15_000,
    of: (size: number) => Buffer.from(piece.repeat(size)),
  })),
  async execute(input) {
    const token = input.toString('latin1');
    const read = outcomeOf(() => readUnverifiedJwtSvid(token), spiffeErrors('invalid-jwt-svid'));
    const strict = await laterOutcomeOf(() => verifyJwtSvid(token, { ...expected, path: 'required' }), isRefusal);
    const loose = await laterOutcomeOf(
      () => verifyJwtSvid(token, { ...expected, extraHeaders: 'ignore', keyId: 'optional' }),
      isRefusal,
    );
    for (const outcome of [read, strict, loose]) if ('refused' in outcome) tellsNothing(outcome.refused, token);
    must('value' in loose || 'refused' in strict, 'what is accepted strictly is accepted');
    must('value' in read || 'refused' in loose, 'what is accepted can be read');
    if ('value' in loose) await check(token, loose.value);
    if ('value' in strict) return 'accepted';
    return `${'value' in read} ${'value' in loose} ${ruleOf(strict.refused)}`;
  },
};

/** No message repeats a part of the token that would let others use it. */
export function tellsNothing(refused: Error, token: string): void {
  const [, payload = '', signature = ''] = token.split('.');
  for (const part of [payload, signature]) {
    must(part.length < 16 || !refused.message.includes(part), 'a message must not repeat the token');
  }
}

async function check(token: string, svid: VerifiedJwtSvid): Promise<void> {
  const authorities = authoritiesOf(trustDomainOf(svid.id)) ?? [];
  const [header = '', payload = '', signature = ''] = token.split('.');
  const { alg } = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as { alg: string };
  const bytes = Buffer.from(signature, 'base64url');
  const keys = authorities
    .filter(({ keyId }) => svid.keyId === undefined || keyId === svid.keyId)
    .map(({ publicKey }) => createPublicKey({ key: publicKey, format: 'der', type: 'spki' }));
  const key = keys.find((one) => isRight(alg, one, `${header}.${payload}`, bytes));
  must(key !== undefined, 'a key of the own trust domain made the signature, by OpenSSL');
  const { payload: claims } = await jwtVerify(token, key, {
    algorithms: [alg],
    audience: 'a',
    currentDate: new Date(TOKEN_NOW * 1000),
    clockTolerance: LEEWAY,
    requiredClaims: ['sub', 'aud', 'exp'],
  });
  mustBeSame(claims.sub, svid.id, 'the subject by jose');
  const theirs = { ...claims, aud: typeof claims.aud === 'string' ? [claims.aud] : claims.aud };
  mustBeSame(JSON.stringify(svid.claims), JSON.stringify(theirs), 'the claims by jose');
}
