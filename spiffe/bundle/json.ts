import { SpiffeError } from '../error.ts';
import { isJsonObject, JsonError, type JsonLimits, type JsonObject, type JsonValue, readJsonExact } from '../json.ts';
import type { TrustDomain } from '../trust-domain.ts';
import {
  type AuthorityJwk,
  jwtAuthorityJwk,
  readJwtAuthority,
  readX509Authority,
  type Unusable,
  useOf,
  x509AuthorityJwk,
} from './authority-jwk.ts';
import { type Bundle, frozenBundle, type JwtAuthority, type X509Authority } from './bundle.ts';

/** Far above any bundle in use, and no more than clients accept in one gRPC message. */
const LIMITS: JsonLimits = { maxLength: 4 * 1024 * 1024, maxDepth: 16 };
const MAX_KEYS = 4096;
const MAX_SEQUENCE = 2n ** 64n - 1n;

const BAD_SEQUENCE = '"spiffe_sequence" is not an unsigned 64-bit integer';
const BAD_HINT = '"spiffe_refresh_hint" is not a whole number of seconds';

/** What differs between the places that publish a bundle. */
export interface SpiffeJsonOptions {
  /** Written instead of the bundle's own hint; seconds, 0 leaves it out. */
  readonly refreshHint?: number;
  /** Writes WIT authorities too. Off by default: WIT-SVID is incubating, and the reference publishes none. */
  readonly wit?: boolean;
}

/**
 * The SPIFFE bundle document (Trust Domain and Bundle 4) as the reference's CLI and bundle endpoint print it: indented
 * by four spaces, X.509 authorities in their order, then JWT authorities and WIT authorities by key ID; sequence number
 * and refresh hint left out when 0. A bundle without authorities has an empty list of keys.
 *
 * @throws SpiffeError when an authority or a number of the bundle is malformed, or a JWT and a WIT authority share a key
 *   ID
 */
export function bundleToSpiffeJson(bundle: Bundle, options: SpiffeJsonOptions = {}): string {
  const { refreshHint = bundle.refreshHint, wit = false } = options;
  const keys = [...x509Jwks(bundle.x509Authorities), ...jwksFor('jwt-svid', bundle.jwtAuthorities)];
  if (wit) {
    // WIT-SVID 6.1: a key serves one kind of SVID, and readers tell keys apart by their IDs.
    const taken = new Set(bundle.jwtAuthorities.map(({ keyId }) => keyId));
    if (bundle.witAuthorities.some(({ keyId }) => taken.has(keyId))) {
      throw new SpiffeError('invalid-bundle', 'a JWT and a WIT authority have one key ID');
    }
    keys.push(...jwksFor('wit-svid', bundle.witAuthorities));
  }
  if (!Number.isSafeInteger(refreshHint) || refreshHint < 0) throw invalid(BAD_HINT);
  if (bundle.sequenceNumber < 0n || bundle.sequenceNumber > MAX_SEQUENCE) throw invalid(BAD_SEQUENCE);
  const members = [keysMember(keys)];
  // Written by hand, as JSON.stringify knows no 64-bit integers.
  if (bundle.sequenceNumber !== 0n) members.push(`"spiffe_sequence": ${bundle.sequenceNumber}`);
  if (refreshHint !== 0) members.push(`"spiffe_refresh_hint": ${refreshHint}`);
  return document(members);
}

/**
 * The plain JWK Set of a bundle's JWT authorities, as the Workload API hands it out: indented by four spaces, sorted by
 * key ID so that equal bundles give equal text, without `use`, `alg`, sequence number and hint.
 *
 * @throws SpiffeError `invalid-key` when a key is malformed
 */
export function jwksOf(bundle: Pick<Bundle, 'jwtAuthorities'>): string {
  return document([keysMember(jwtJwks(bundle.jwtAuthorities))]);
}

/** `jwksOf` for WIT authorities. @throws SpiffeError `invalid-key` when a key is malformed */
export function witJwksOf(bundle: Pick<Bundle, 'witAuthorities'>): string {
  return document([keysMember(jwtJwks(bundle.witAuthorities))]);
}

/** A certificate that is there twice, say with and without a tainted mark, is written once. */
function x509Jwks(authorities: readonly X509Authority[]): AuthorityJwk[] {
  return withoutRepeats(authorities)
    .map(x509AuthorityJwk)
    .filter((jwk) => jwk !== undefined);
}

function jwksFor(use: 'jwt-svid' | 'wit-svid', authorities: readonly JwtAuthority[]): AuthorityJwk[] {
  return jwtJwks(authorities).map((jwk) => ({ use, ...jwk }));
}

function document(members: readonly string[]): string {
  return `{\n    ${members.join(',\n    ')}\n}`;
}

function keysMember(keys: readonly AuthorityJwk[]): string {
  // A line break in this text is never part of a string, where it would be escaped.
  return `"keys": ${JSON.stringify(keys, null, 4).replaceAll('\n', '\n    ')}`;
}

/** By key ID. Keys of kinds that no reader understands are left out; of two with one key ID the later one stays. */
function jwtJwks(authorities: readonly JwtAuthority[]): AuthorityJwk[] {
  const byKeyId = new Map<string, AuthorityJwk>();
  for (const authority of authorities) {
    const jwk = jwtAuthorityJwk(authority);
    if (jwk !== undefined) byKeyId.set(authority.keyId, jwk);
  }
  return Array.from(byKeyId)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, jwk]) => jwk);
}

/** A key of the document that was passed over, as the standard asks. */
export interface SkippedKey {
  /** Place in `keys`. */
  readonly index: number;
  readonly reason: string;
}

/** A bundle as read, and what the document said beyond it. */
export interface ReadBundle {
  readonly bundle: Bundle;
  readonly skipped: readonly SkippedKey[];
  /** Whether `spiffe_sequence` was there; the bundle says 0 otherwise. */
  readonly hasSequenceNumber: boolean;
  /** Whether `spiffe_refresh_hint` was there; the bundle says 0 otherwise. */
  readonly hasRefreshHint: boolean;
}

/**
 * Reads a SPIFFE bundle document (Trust Domain and Bundle 4). A key that cannot serve is skipped and the rest kept; a
 * document that contradicts itself, passes a bound or leaks a private key is refused. See decision 0004.
 *
 * @param input text or UTF-8 bytes
 * @param trustDomain whose bundle it is, as the document does not say (Trust Domain and Bundle 3)
 * @throws SpiffeError `invalid-bundle`
 */
export function readSpiffeBundle(input: string | Uint8Array, trustDomain: TrustDomain): ReadBundle {
  return readBundleObject(readDocument(input, LIMITS), trustDomain);
}

/** `readSpiffeBundle` of JSON that was already read, as part of a larger document. */
export function readBundleObject(document: JsonObject<bigint>, trustDomain: TrustDomain): ReadBundle {
  const keys = keysOf(document).map(readKey);
  const jwtAuthorities = authoritiesFor('jwt-svid', keys);
  const witAuthorities = authoritiesFor('wit-svid', keys);
  // WIT-SVID 6.1: a key ID serves one kind of SVID. The stable kind keeps it.
  const taken = new Set(jwtAuthorities.map(({ keyId }) => keyId));
  // Writers of optional fields put null for what they do not have.
  const sequence = document['spiffe_sequence'] ?? undefined;
  const hint = document['spiffe_refresh_hint'] ?? undefined;
  return {
    bundle: frozenBundle({
      trustDomain,
      x509Authorities: withoutRepeats(keys.flatMap((key) => (key.use === 'x509-svid' ? key.authority : []))),
      jwtAuthorities,
      witAuthorities: witAuthorities.filter(({ keyId }) => !taken.has(keyId)),
      refreshHint: hint === undefined ? 0 : refreshHintOf(hint),
      sequenceNumber: sequence === undefined ? 0n : sequenceOf(sequence),
    }),
    skipped: keys.flatMap((key, index) => {
      const reason = reasonToSkip(key, taken);
      return reason === undefined ? [] : { index, reason };
    }),
    hasSequenceNumber: sequence !== undefined,
    hasRefreshHint: hint !== undefined,
  };
}

/** `readSpiffeBundle` for callers that only want the bundle. */
export function bundleFromSpiffeJson(input: string | Uint8Array, trustDomain: TrustDomain): Bundle {
  return readSpiffeBundle(input, trustDomain).bundle;
}

/**
 * Reads the plain JWK Set in which the Workload API hands out JWT authorities. Here a key without `use` is a JWT
 * authority, as servers leave it out; a key for another use is passed over.
 *
 * @throws SpiffeError `invalid-bundle`
 */
export function jwtAuthoritiesFromJwks(input: string | Uint8Array): readonly JwtAuthority[] {
  return authoritiesFromJwks(input, 'jwt-svid');
}

/** `jwtAuthoritiesFromJwks` for WIT authorities, which a key without `use` then is. @throws SpiffeError `invalid-bundle` */
export function witAuthoritiesFromJwks(input: string | Uint8Array): readonly JwtAuthority[] {
  return authoritiesFromJwks(input, 'wit-svid');
}

function authoritiesFromJwks(input: string | Uint8Array, use: 'jwt-svid' | 'wit-svid'): readonly JwtAuthority[] {
  const keys = keysOf(readDocument(input, LIMITS)).map((jwk) =>
    isJsonObject(jwk) && jwk['use'] === undefined ? used(use, readJwtAuthority(jwk)) : readKey(jwk),
  );
  return Object.freeze(authoritiesFor(use, keys));
}

/**
 * Reads a JSON object exactly: 64-bit numbers as they are, repeated members refused.
 *
 * @throws SpiffeError `invalid-bundle`
 */
export function readDocument(input: string | Uint8Array, limits: JsonLimits): JsonObject<bigint> {
  const document = parse(input, limits);
  if (!isJsonObject(document)) throw invalid('not a JSON object');
  return document;
}

function parse(input: string | Uint8Array, limits: JsonLimits): JsonValue<bigint> {
  try {
    return readJsonExact(input, limits);
  } catch (cause) {
    throw cause instanceof JsonError ? invalid(cause.message) : cause;
  }
}

function keysOf({ keys }: JsonObject<bigint>): readonly JsonValue<bigint>[] {
  if (!Array.isArray(keys)) throw invalid('"keys" is missing or not an array');
  if (keys.length > MAX_KEYS) throw invalid(`more than ${MAX_KEYS} keys`);
  return keys as readonly JsonValue<bigint>[];
}

/** What one element of `keys` is. */
type ReadKey =
  | { readonly use: 'x509-svid'; readonly authority: X509Authority }
  | { readonly use: 'jwt-svid' | 'wit-svid'; readonly authority: JwtAuthority }
  | { readonly use: undefined; readonly reason: string };

function readKey(jwk: JsonValue<bigint>): ReadKey {
  if (!isJsonObject(jwk)) return { use: undefined, reason: 'not an object' };
  const use = useOf(jwk);
  if (use === undefined) return { use, reason: 'no known use' };
  if (use !== 'x509-svid') return used(use, readJwtAuthority(jwk));
  const authority = readX509Authority(jwk);
  return 'unusable' in authority ? { use: undefined, reason: authority.unusable } : { use, authority };
}

function used(use: 'jwt-svid' | 'wit-svid', authority: JwtAuthority | Unusable): ReadKey {
  return 'unusable' in authority ? { use: undefined, reason: authority.unusable } : { use, authority };
}

function reasonToSkip(key: ReadKey, jwtKeyIds: ReadonlySet<string>): string | undefined {
  if (key.use === undefined) return key.reason;
  return key.use === 'wit-svid' && jwtKeyIds.has(key.authority.keyId) ? 'kid is that of a jwt-svid key' : undefined;
}

/** @throws SpiffeError when two authorities share a key ID, as it would no longer say which key signed a token */
function authoritiesFor(use: 'jwt-svid' | 'wit-svid', keys: readonly ReadKey[]): readonly JwtAuthority[] {
  const authorities = keys.flatMap((key) => (key.use === use ? key.authority : []));
  if (new Set(authorities.map(({ keyId }) => keyId)).size !== authorities.length) {
    throw invalid(`two ${use} keys have one kid`);
  }
  return authorities;
}

/** X509-SVID 6.2: the authorities are a set. */
function withoutRepeats(authorities: readonly X509Authority[]): readonly X509Authority[] {
  const seen = new Set<string>();
  return authorities.filter(({ certificate }) => {
    const text = certificate.toString('latin1');
    return !seen.has(text) && seen.add(text);
  });
}

/** Only what is written as an integer counts as one, as for all readers with integers of their own: not `1e2`, not `-0`. */
function sequenceOf(value: JsonValue<bigint>): bigint {
  if (typeof value === 'bigint' && value >= 0n && value <= MAX_SEQUENCE) return value;
  throw invalid(BAD_SEQUENCE);
}

function refreshHintOf(value: JsonValue<bigint>): number {
  if (typeof value === 'bigint' && value >= 0n && value <= Number.MAX_SAFE_INTEGER) return Number(value);
  throw invalid(BAD_HINT);
}

function invalid(reason: string): SpiffeError {
  return new SpiffeError('invalid-bundle', `bundle is malformed: ${reason}`);
}
