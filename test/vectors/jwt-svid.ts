import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { JwtAuthority } from '../../spiffe/bundle/bundle.ts';
import type { JwtSvidExpectation } from '../../spiffe/jwt/verify.ts';

// The JWT-SVID vectors of docs/decisions/0004: tokens are made here, as their times and keys cannot be static.

export const NOW = Date.UTC(2026, 0, 1);
export const SECONDS = NOW / 1000;
export const ID = 'spiffe://td1.test/web';

const pairs = {
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  weak: generateKeyPairSync('rsa', { modulusLength: 1024 }),
  other: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ed: generateKeyPairSync('ed25519'),
  k1: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
};
type KeyName = keyof typeof pairs;

export function authority(name: KeyName, keyId: string = name): JwtAuthority {
  const publicKey = pairs[name].publicKey.export({ format: 'der', type: 'spki' });
  return { publicKey, keyId, expiresAt: 0, tainted: false };
}

const td1 = (['p256', 'p384', 'p521', 'rsa', 'weak', 'ed', 'k1'] as const).map((name) => authority(name));
const domains: Record<string, readonly JwtAuthority[]> = {
  'td1.test': td1,
  'td2.test': [authority('other')],
  'empty.test': [],
};
export const expected: JwtSvidExpectation = { audience: ['a'], authorities: (td) => domains[td], now: NOW };

export function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

interface Made {
  readonly header?: Record<string, unknown> | string;
  readonly claims?: Record<string, unknown> | string;
  readonly key?: KeyName;
  readonly der?: boolean;
}

/** A token that is perfect but for what is asked for; `undefined` takes a member out. */
export function make({ header = {}, claims = {}, key = 'p256', der = false }: Made = {}): string {
  const head = typeof header === 'string' ? header : { alg: 'ES256', kid: key, typ: 'JWT', ...header };
  const body = typeof claims === 'string' ? claims : { sub: ID, aud: ['a'], exp: SECONDS + 300, iat: SECONDS, ...claims };
  const data = `${encode(head)}.${encode(body)}`;
  const hash = /(256|384|512)/.exec(JSON.stringify(head))?.[1] ?? '256';
  return `${data}.${signatureOf(pairs[key].privateKey, `sha${hash}`, data, der, JSON.stringify(head).includes('"PS'))}`;
}

function signatureOf(key: KeyObject, hash: string, data: string, der: boolean, pss: boolean): string {
  const algorithm = key.asymmetricKeyType === 'ed25519' ? null : hash;
  const padding = pss ? { padding: 6, saltLength: Number(hash.slice(3)) / 8 } : {};
  const dsaEncoding = der ? 'der' : 'ieee-p1363';
  return sign(algorithm, Buffer.from(data), { key, dsaEncoding, ...padding }).toString('base64url');
}

function withoutSignature(header: unknown, claims: unknown): string {
  return `${encode(header)}.${encode(claims)}.`;
}

const perfect = { sub: ID, aud: ['a'], exp: SECONDS + 300 };
const jwk = pairs.other.publicKey.export({ format: 'jwk' });
const many = Array.from({ length: 1000 }, (_, index) => (index === 0 ? 'a' : `a${index}`));
const tenThousand = 'a'.repeat(65_537);

export interface Case {
  readonly id: string;
  readonly what: string;
  readonly token: string;
  readonly expected?: Partial<JwtSvidExpectation>;
  /** Part of the message; absent when the token is good. */
  readonly no?: string;
}

export function hmacToken(): string {
  const data = `${encode({ alg: 'HS256', kid: 'p256', typ: 'JWT' })}.${encode(perfect)}`;
  const secret = authority('p256').publicKey;
  return `${data}.${createHmac('sha256', secret).update(data).digest('base64url')}`;
}

const algorithms: readonly [string, KeyName][] = [
  ['RS256', 'rsa'],
  ['RS384', 'rsa'],
  ['RS512', 'rsa'],
  ['ES384', 'p384'],
  ['ES512', 'p521'],
  ['PS256', 'rsa'],
  ['PS384', 'rsa'],
  ['PS512', 'rsa'],
];

const parse = 'unable to parse JWT token: ';
export const badAlgorithm = `${parse}signature algorithm is missing or not allowed`;
const badType = `${parse}type is neither JWT nor JOSE`;
const badHeader = `${parse}header has more than alg, kid and typ`;
export const badSignature = 'token signature cannot be verified';
const badSubject = 'token has in invalid subject claim: ';

export const cases: readonly Case[] = [
  { id: 'V-J-01', what: 'a good token', token: make() },
  ...algorithms.map(([alg, key]) => ({ id: 'V-J-02', what: alg, token: make({ header: { alg }, key }) })),
  { id: 'V-J-03', what: 'empty text', token: '', no: parse },
  { id: 'V-J-03', what: 'two parts', token: 'a.b', no: parse },
  { id: 'V-J-03', what: 'some text', token: 'not a jwt', no: parse },
  { id: 'V-J-03', what: 'four parts', token: `${make()}.AAAA`, no: parse },
  { id: 'V-J-04', what: 'JWE', token: `${make()}.AAAA.AAAA`, no: parse },
  {
    id: 'V-J-05',
    what: 'flattened JSON',
    token: JSON.stringify({ payload: 'e30', protected: 'e30', signature: '' }),
    no: parse,
  },
  { id: 'V-J-06', what: 'alg none', token: withoutSignature({ alg: 'none', kid: 'p256' }, perfect), no: badAlgorithm },
  { id: 'V-J-07', what: 'HMAC with the public key', token: hmacToken(), no: badAlgorithm },
  { id: 'V-J-08', what: 'EdDSA', token: make({ header: { alg: 'EdDSA' }, key: 'ed' }), no: badAlgorithm },
  { id: 'V-J-08', what: 'ES256K', token: make({ header: { alg: 'ES256K' }, key: 'k1' }), no: badAlgorithm },
  { id: 'V-J-08', what: 'alg in lower case', token: make({ header: { alg: 'es256' } }), no: badAlgorithm },
  { id: 'V-J-08', what: 'no alg', token: make({ header: { alg: undefined } }), no: badAlgorithm },
  { id: 'V-J-08', what: 'alg toString', token: make({ header: { alg: 'toString' } }), no: badAlgorithm },
  { id: 'JWT-08', what: 'alg judged before the payload', token: `${encode({ alg: 'HS256' })}.%%.`, no: badAlgorithm },
  { id: 'V-J-09', what: 'ES256 with an RSA key', token: make({ header: { kid: 'rsa' } }), no: badSignature },
  { id: 'V-J-10', what: 'ES256 with a P-384 key', token: make({ key: 'p384' }), no: badSignature },
  {
    id: 'JWT-09',
    what: 'a 1024-bit RSA key',
    token: make({ header: { alg: 'RS256' }, key: 'weak' }),
    no: badSignature,
  },
  { id: 'V-J-11', what: 'signature in DER', token: make({ der: true }), no: badSignature },
  { id: 'V-J-12', what: 'no kid', token: make({ header: { kid: undefined } }), no: 'token header missing key id' },
  {
    id: 'V-J-12',
    what: 'no kid, allowed',
    token: make({ header: { kid: undefined } }),
    expected: { keyId: 'optional' },
  },
  {
    id: 'V-J-13',
    what: 'empty kid',
    token: make({ header: { kid: '' } }),
    expected: { keyId: 'optional' },
    no: 'missing key id',
  },
  { id: 'V-J-13', what: 'kid is a number', token: make({ header: { kid: 1 } }), no: parse },
  {
    id: 'V-J-14',
    what: 'unknown kid',
    token: make({ header: { kid: 'x' } }),
    no: 'public key "x" not found in trust domain "td1.test"',
  },
  {
    id: 'V-J-15',
    what: 'signed by another key',
    token: make({ header: { kid: 'p256' }, key: 'other' }),
    no: badSignature,
  },
  {
    id: 'V-J-16',
    what: 'unknown trust domain',
    token: make({ claims: { sub: 'spiffe://td9.test/x' } }),
    no: 'no keys found for trust domain "td9.test"',
  },
  {
    id: 'V-J-17',
    what: 'key of another trust domain',
    token: make({ key: 'other' }),
    no: 'public key "other" not found in trust domain "td1.test"',
  },
  {
    id: 'V-J-17',
    what: 'key of another trust domain, no kid',
    token: make({ header: { kid: undefined }, key: 'other' }),
    expected: { keyId: 'optional' },
    no: badSignature,
  },
  { id: 'V-J-19', what: 'typ JWT', token: make({ header: { typ: 'JWT' } }) },
  { id: 'V-J-19', what: 'typ JOSE', token: make({ header: { typ: 'JOSE' } }) },
  { id: 'V-J-19', what: 'no typ', token: make({ header: { typ: undefined } }) },
  ...['wit+jwt', 'at+jwt', 'x'].map((typ) => ({
    id: 'V-J-20',
    what: typ,
    token: make({ header: { typ } }),
    no: badType,
  })),
  { id: 'V-J-21', what: 'typ jwt', token: make({ header: { typ: 'jwt' } }), no: badType },
  { id: 'V-J-22', what: 'header jwk', token: make({ header: { jwk, kid: 'p256' }, key: 'other' }), no: badHeader },
  {
    id: 'V-J-22',
    what: 'header jwk ignored is not used',
    token: make({ header: { jwk, kid: 'p256' }, key: 'other' }),
    expected: { extraHeaders: 'ignore' },
    no: badSignature,
  },
  ...['jku', 'x5u', 'x5c', 'x5t', 'cty'].map((name) => ({
    id: 'V-J-23',
    what: name,
    token: make({ header: { [name]: 'x' } }),
    no: badHeader,
  })),
  { id: 'V-J-23', what: 'jku ignored', token: make({ header: { jku: 'x' } }), expected: { extraHeaders: 'ignore' } },
  {
    id: 'V-J-24',
    what: 'crit',
    token: make({ header: { crit: ['x'], x: 1 } }),
    expected: { extraHeaders: 'ignore' },
    no: 'critical headers',
  },
  {
    id: 'V-J-25',
    what: 'b64',
    token: make({ header: { b64: false, crit: ['b64'] } }),
    expected: { extraHeaders: 'ignore' },
    no: 'critical headers',
  },
  {
    id: 'V-J-26',
    what: 'alg twice',
    token: make({ header: '{"alg":"ES256","kid":"p256","alg":"ES256"}' }),
    no: `${parse}header: repeated member`,
  },
  { id: 'V-J-27', what: 'no sub', token: make({ claims: { sub: undefined } }), no: 'token missing subject claim' },
  {
    id: 'V-J-28',
    what: 'sub is no ID',
    token: make({ claims: { sub: 'not-a-spiffe-id' } }),
    no: `${badSubject}scheme is missing or invalid`,
  },
  { id: 'V-J-28', what: 'sub is a number', token: make({ claims: { sub: 123 } }), no: badSubject },
  { id: 'V-J-28', what: 'empty sub', token: make({ claims: { sub: '' } }), no: 'token missing subject claim' },
  { id: 'V-J-29', what: 'sub without path', token: make({ claims: { sub: 'spiffe://td1.test' } }) },
  {
    id: 'V-J-29',
    what: 'sub without path, refused',
    token: make({ claims: { sub: 'spiffe://td1.test' } }),
    expected: { path: 'required' },
    no: badSubject,
  },
  {
    id: 'V-J-30',
    what: 'no aud',
    token: make({ claims: { aud: undefined } }),
    no: 'expected audience in ["a"] (audience=[])',
  },
  {
    id: 'V-J-31',
    what: 'empty aud list',
    token: make({ claims: { aud: [] } }),
    no: 'expected audience in ["a"] (audience=[])',
  },
  { id: 'V-J-31', what: 'empty aud', token: make({ claims: { aud: '' } }), no: 'expected audience' },
  {
    id: 'V-J-31',
    what: 'list of an empty aud',
    token: make({ claims: { aud: [''] } }),
    expected: { audience: ['a', ''] },
    no: 'expected audience',
  },
  { id: 'V-J-32', what: 'aud as text', token: make({ claims: { aud: 'a' } }) },
  { id: 'V-J-33', what: 'one of two', token: make({ claims: { aud: ['a', 'b'] } }), expected: { audience: ['b'] } },
  {
    id: 'V-J-34',
    what: 'another aud',
    token: make(),
    expected: { audience: ['b'] },
    no: 'expected audience in ["b"] (audience=["a"])',
  },
  {
    id: 'V-J-34',
    what: 'two other auds',
    token: make({ claims: { aud: ['x', 'y "z"'] } }),
    expected: { audience: ['b', 'c'] },
    no: 'expected audience in ["b" "c"] (audience=["x" "y \\"z\\""])',
  },
  { id: 'V-J-35', what: 'aud in another case', token: make(), expected: { audience: ['A'] }, no: 'expected audience' },
  { id: 'V-J-37', what: 'any of two expected', token: make(), expected: { audience: ['b', 'a'] } },
  { id: 'V-J-38', what: 'aud with a number', token: make({ claims: { aud: ['a', 1] } }), no: 'token aud claim' },
  { id: 'V-J-38', what: 'aud null', token: make({ claims: { aud: null } }), no: 'token aud claim' },
  { id: 'V-J-39', what: '1000 auds', token: make({ claims: { aud: many } }), no: 'more than 100 audiences' },
  { id: 'V-J-40', what: 'no exp', token: make({ claims: { exp: undefined } }), no: 'token missing exp claim' },
  {
    id: 'V-J-41',
    what: 'exp as a word',
    token: make({ claims: { exp: 'soon' } }),
    no: 'token exp claim is not a time',
  },
  { id: 'V-J-41', what: 'exp null', token: make({ claims: { exp: null } }), no: 'token missing exp claim' },
  { id: 'V-J-41', what: 'exp as an object', token: make({ claims: { exp: {} } }), no: 'token exp claim is not a time' },
  {
    id: 'V-J-42',
    what: 'exp as text',
    token: make({ claims: { exp: `${SECONDS + 60}` } }),
    no: 'token exp claim is not a time',
  },
  { id: 'V-J-43', what: 'expired 2 min ago', token: make({ claims: { exp: SECONDS - 120 } }), no: 'token has expired' },
  {
    id: 'V-J-44',
    what: 'expired 1 s ago, no leeway',
    token: make({ claims: { exp: SECONDS - 1 } }),
    expected: { leeway: 0 },
    no: 'token has expired',
  },
  { id: 'V-J-45', what: 'expired 30 s ago', token: make({ claims: { exp: SECONDS - 30 } }) },
  { id: 'V-J-46', what: 'exp with a fraction', token: make({ claims: { exp: SECONDS + 3600.5 } }) },
  { id: 'V-J-47', what: 'exp 1e300', token: make({ claims: { exp: 1e300 } }), no: 'token exp claim is not a time' },
  {
    id: 'V-J-47',
    what: 'exp 2^53+1',
    token: make({ claims: `{"sub":"${ID}","aud":"a","exp":9007199254740993}` }),
    no: 'token exp claim is not a time',
  },
  {
    id: 'V-J-48',
    what: 'nbf in an hour',
    token: make({ claims: { nbf: SECONDS + 3600 } }),
    no: 'token is not valid yet',
  },
  { id: 'V-J-48', what: 'nbf in 30 s', token: make({ claims: { nbf: SECONDS + 30 } }) },
  {
    id: 'V-J-49',
    what: 'iat in an hour',
    token: make({ claims: { iat: SECONDS + 3600 } }),
    no: 'token is issued in the future',
  },
  { id: 'V-J-49', what: 'iat as text', token: make({ claims: { iat: 'x' } }), no: 'token iat claim is not a time' },
  {
    id: 'V-J-52',
    what: 'aud twice',
    token: make({ claims: `{"sub":"${ID}","aud":"a","aud":"a","exp":${SECONDS + 9}}` }),
    no: `${parse}payload: repeated member`,
  },
  {
    id: 'V-J-53',
    what: 'payload is a list',
    token: make({ claims: '[]' }),
    no: `${parse}payload is not a JSON object`,
  },
  { id: 'V-J-53', what: 'payload is text', token: make({ claims: '"x"' }), no: `${parse}payload is not a JSON object` },
  { id: 'V-J-54', what: 'padding', token: make().replace('.', '=.'), no: `${parse}header is not base64url` },
  {
    id: 'V-J-54',
    what: 'the other alphabet',
    token: `${make({ der: true }).slice(0, -4)}+/+/`,
    no: `${parse}signature is not base64url`,
  },
  { id: 'V-J-54', what: 'a line break', token: `${make()}\n`, no: `${parse}signature is not base64url` },
  { id: 'V-J-55', what: 'too long', token: make({ claims: { x: tenThousand } }), no: `${parse}longer than` },
  {
    id: 'V-J-56',
    what: 'no JWT key',
    token: make({ claims: { sub: 'spiffe://empty.test/x' } }),
    no: 'public key "p256" not found in trust domain "empty.test"',
  },
  {
    id: 'V-J-58',
    what: 'a WIT-SVID',
    token: make({ header: { typ: 'wit+jwt' }, claims: { aud: undefined, cnf: { jwk } } }),
    no: badType,
  },
];
