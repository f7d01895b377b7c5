import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { Bundle, JwtAuthority } from '../../../spiffe/bundle/bundle.ts';
import { emptyBundle, frozenBundle } from '../../../spiffe/bundle/bundle.ts';
import { readSpiffeBundle } from '../../../spiffe/bundle/json.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { type VectorText, vectorText } from '../../support/vectors.ts';

// Signatures need keys, and no private key is kept in this repository: keys are made anew, and the vectors name them.

type Members = Readonly<Record<string, unknown>>;

const MAKERS = {
  p256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  rsa: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  weak: () => generateKeyPairSync('rsa', { modulusLength: 1024 }),
  /** Of a kind that p256 is too. */
  other: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ed: () => generateKeyPairSync('ed25519'),
  k1: () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
  /** Of a workload. */
  mine: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
};
export type KeyName = keyof typeof MAKERS;

const made = new Map<KeyName, { readonly publicKey: KeyObject; readonly privateKey: KeyObject }>();

export function keyPair(name: KeyName): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  const pair = made.get(name) ?? MAKERS[name]();
  made.set(name, pair);
  return pair;
}

/** A token: a text, or one to be signed. */
export type TokenInput = { readonly text: VectorText } | MadeToken;

/** A token that is perfect but for what is said here. */
export interface MadeToken {
  /** Signs, and is the `kid`; p256 when absent. */
  readonly key?: KeyName;
  /** Members laid over those of a perfect header, or the whole header as text or bytes. */
  readonly header?: Members | VectorText | Hex;
  /** Members laid over perfect claims, or the whole payload. */
  readonly claims?: Members | VectorText | Hex;
  /** Members to leave out. */
  readonly withoutHeader?: readonly string[];
  readonly withoutClaims?: readonly string[];
  readonly signature?: keyof typeof SIGNATURES;
  /** How the parts are put together: `{header}.{payload}.{signature}` when absent. */
  readonly join?: string;
}

interface Hex {
  readonly hex: string;
}

export interface Perfect {
  readonly header: Members;
  readonly claims: Members;
}

export function tokenOf(input: TokenInput, perfect: Perfect): string {
  if ('text' in input) return vectorText(input.text);
  const { key = 'p256', join = '{header}.{payload}.{signature}' } = input;
  const header = bytesOf(input.header ?? {}, { kid: key, ...perfect.header }, input.withoutHeader);
  const payload = bytesOf(input.claims ?? {}, perfect.claims, input.withoutClaims).toString('base64url');
  const data = `${header.toString('base64url')}.${payload}`;
  const algorithm = /"alg": ?"(\w+)"/.exec(header.toString())?.[1] ?? 'ES256';
  const signature = SIGNATURES[input.signature ?? 'good'](data, key, algorithm);
  const parts: Record<string, string> = {
    header: header.toString('base64url'),
    payload,
    signature,
    ...(join.includes('{stray') && { strayPayload: withStrayBits(payload), straySignature: withStrayBits(signature) }),
  };
  return join.replaceAll(/\{(\w+)\}/g, (_all, name: string) => parts[name] ?? `no part ${name}`);
}

function bytesOf(over: Members | VectorText | Hex, perfect: Members, without: readonly string[] = []): Buffer {
  if (isText(over)) return Buffer.from(vectorText(over));
  if ('hex' in over) return Buffer.from(String(over.hex), 'hex');
  const members = Object.entries({ ...perfect, ...over }).filter(([name]) => !without.includes(name));
  return Buffer.from(JSON.stringify(Object.fromEntries(members), withKeys));
}

function isText(value: Members | VectorText | Hex): value is VectorText {
  return typeof value === 'string' || Array.isArray(value);
}

/** `$public:p256` and `$private:p256` stand for the JWK of a key. */
function withKeys(_name: string, value: unknown): unknown {
  const [, half, name] = (typeof value === 'string' && /^\$(public|private):(\w+)$/.exec(value)) || [];
  return half === undefined ? expanded(value) : jwkOf(half as 'public' | 'private', name as KeyName);
}

/** A JWK of which some members differ: `{ "$jwk": "public:p256", "alg": "ES256" }`; null leaves one out. */
function expanded(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('$jwk' in value)) return value;
  const { $jwk, ...over } = value as { readonly $jwk: string };
  const [half, name] = $jwk.split(':') as ['public' | 'private', KeyName];
  return Object.fromEntries(Object.entries({ ...jwkOf(half, name), ...over }).filter(([, member]) => member !== null));
}

export function jwkOf(half: 'public' | 'private', name: KeyName): Members {
  const { publicKey, privateKey } = keyPair(name);
  return { ...(half === 'public' ? publicKey : privateKey).export({ format: 'jwk' }) };
}

type Sign = (data: string, key: KeyName, algorithm: string) => string;

/** ECDSA signatures with a number that none has (FIPS 186-5 6.4.2): the order of P-256. */
const ORDER = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';

const SIGNATURES = {
  good: (data, key, algorithm) => signed(data, key, algorithm, {}).toString('base64url'),
  none: () => '',
  der: (data, key, algorithm) => signed(data, key, algorithm, { dsaEncoding: 'der' }).toString('base64url'),
  /** HMAC keyed with the bytes of the public key. */
  hmac: (data, key) => {
    const secret = keyPair(key).publicKey.export({ format: 'der', type: 'spki' });
    return createHmac('sha256', secret).update(data).digest('base64url');
  },
  changed: (data, key, algorithm) => changedAt(signed(data, key, algorithm, {}), 9),
  short: (data, key, algorithm) => signed(data, key, algorithm, {}).subarray(1).toString('base64url'),
  long: (data, key, algorithm) => fromHex(`${signed(data, key, algorithm, {}).toString('hex')}00`),
  zeroR: (data, key, algorithm) => fromHex(`${'00'.repeat(32)}${halves(data, key, algorithm)[1]}`),
  zeroS: (data, key, algorithm) => fromHex(`${halves(data, key, algorithm)[0]}${'00'.repeat(32)}`),
  zeroBoth: () => fromHex('00'.repeat(64)),
  orderR: (data, key, algorithm) => fromHex(`${ORDER}${halves(data, key, algorithm)[1]}`),
  orderS: (data, key, algorithm) => fromHex(`${halves(data, key, algorithm)[0]}${ORDER}`),
  /** RFC 7518 3.5: the salt is as long as the digest. */
  emptySalt: (data, key, algorithm) => signed(data, key, algorithm, { saltLength: 0 }).toString('base64url'),
  longestSalt: (data, key, algorithm) =>
    signed(data, key, algorithm, { saltLength: constants.RSA_PSS_SALTLEN_MAX_SIGN }).toString('base64url'),
  /** PKCS #1 1.5 where PSS is announced. */
  pkcs1: (data, key) => sign('sha256', Buffer.from(data), keyPair(key).privateKey).toString('base64url'),
} satisfies Record<string, Sign>;

function signed(
  data: string,
  name: KeyName,
  algorithm: string,
  options: { dsaEncoding?: 'der'; saltLength?: number },
): Buffer {
  const key = keyPair(name).privateKey;
  const bits = /\d{3}/.exec(algorithm)?.[0] ?? '256';
  const pss = algorithm.startsWith('PS') && { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: Number(bits) / 8 };
  const digest = key.asymmetricKeyType === 'ed25519' ? null : `sha${bits}`;
  return sign(digest, Buffer.from(data), { key, dsaEncoding: 'ieee-p1363', ...pss, ...options });
}

function halves(data: string, key: KeyName, algorithm: string): [string, string] {
  const hex = signed(data, key, algorithm, {}).toString('hex');
  return [hex.slice(0, hex.length / 2), hex.slice(hex.length / 2)];
}

function fromHex(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64url');
}

function changedAt(bytes: Buffer, at: number): string {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes.toString('base64url');
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** The same bytes in another spelling: bits that belong to no byte are set. */
function withStrayBits(part: string): string {
  const last = part.at(-1) ?? '';
  const other = `${part.slice(0, -1)}${ALPHABET[ALPHABET.indexOf(last) + 1]}`;
  if (!Buffer.from(other, 'base64url').equals(Buffer.from(part, 'base64url'))) throw new Error('no stray bits');
  return other;
}

/** Authorities of trust domains, by name. */
export type BundlesInput = Readonly<Record<string, readonly AuthorityInput[]>>;

interface AuthorityInput {
  readonly key: KeyName;
  /** The name of the key when absent. */
  readonly kid?: string;
  readonly use?: 'jwt-svid' | 'wit-svid' | 'x509-svid';
  /** Not by way of a bundle document, which says neither of the next two. */
  readonly direct?: true;
  readonly expiresAt?: number;
  readonly tainted?: boolean;
}

/** Reads the bundle of each trust domain from a document that lists the keys. */
export function bundlesOf(input: BundlesInput): ReadonlyMap<string, Bundle> {
  return new Map(Object.entries(input).map(([name, authorities]) => [name, bundleOf(name, authorities)]));
}

function bundleOf(name: string, authorities: readonly AuthorityInput[]): Bundle {
  const trustDomain = parseTrustDomain(name);
  const listed = authorities.filter(({ direct }) => direct !== true);
  const keys = listed.map(({ key, kid = key, use = 'jwt-svid' }) => ({ ...jwkOf('public', key), kid, use }));
  const { bundle } = readSpiffeBundle(JSON.stringify({ keys }), trustDomain);
  const direct = authorities.filter((one) => one.direct === true);
  const of = (wanted: string): JwtAuthority[] =>
    direct.filter(({ use = 'jwt-svid' }) => use === wanted).map(authorityOf);
  return frozenBundle({
    ...emptyBundle(trustDomain),
    jwtAuthorities: [...bundle.jwtAuthorities, ...of('jwt-svid')],
    witAuthorities: [...bundle.witAuthorities, ...of('wit-svid')],
  });
}

function authorityOf({ key, kid = key, expiresAt = 0, tainted = false }: AuthorityInput): JwtAuthority {
  const publicKey = keyPair(key).publicKey.export({ format: 'der', type: 'spki' });
  return { publicKey, keyId: kid, expiresAt, tainted };
}
