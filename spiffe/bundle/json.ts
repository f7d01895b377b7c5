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
import type { Bundle, JwtAuthority, X509Authority } from './bundle.ts';

/** Far above any bundle in use, and no more than clients accept in one gRPC message. */
const LIMITS: JsonLimits = { maxLength: 4 * 1024 * 1024, maxDepth: 16 };
const MAX_KEYS = 4096;
const MAX_SEQUENCE = 2n ** 64n - 1n;

/** What differs between the places that publish a bundle. */
export interface SpiffeJsonOptions {
  /** Written instead of the bundle's own hint; seconds. */
  readonly refreshHint?: number;
}

/**
 * The SPIFFE bundle document (Trust Domain and Bundle 4) as the reference's CLI and bundle endpoint print it: indented
 * by four spaces, X.509 authorities in their order, then JWT authorities by key ID; sequence number and refresh hint
 * left out when 0. WIT authorities are left out, as the reference publishes none.
 *
 * @throws SpiffeError when an authority of the bundle is malformed
 */
export function bundleToSpiffeJson(bundle: Bundle, options: SpiffeJsonOptions = {}): string {
  const refreshHint = options.refreshHint ?? bundle.refreshHint;
  const x509Keys = bundle.x509Authorities.map(x509AuthorityJwk).filter((jwk) => jwk !== undefined);
  const jwtKeys = jwtJwks(bundle.jwtAuthorities).map((jwk): AuthorityJwk => ({ use: 'jwt-svid', ...jwk }));
  const members = [keysMember([...x509Keys, ...jwtKeys])];
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

interface Found {
  readonly x509Authorities: X509Authority[];
  readonly jwtAuthorities: JwtAuthority[];
  readonly witAuthorities: JwtAuthority[];
}

/**
 * Reads a SPIFFE bundle document (Trust Domain and Bundle 4). A key that cannot serve is skipped and the rest kept; a
 * document that contradicts itself, passes a bound or leaks a private key is refused. See decision 0004.
 *
 * @param input text or UTF-8 bytes
 * @throws SpiffeError `invalid-bundle`
 */
export function readSpiffeBundle(input: string | Uint8Array, trustDomain: TrustDomain): ReadBundle {
  const document = readDocument(input);
  const found: Found = { x509Authorities: [], jwtAuthorities: [], witAuthorities: [] };
  const skipped: SkippedKey[] = [];
  for (const [index, jwk] of keysOf(document).entries()) {
    const reason = sortIn(jwk, found);
    if (reason !== undefined) skipped.push({ index, reason });
  }
  const jwtKeyIds = keyIdsOf(found.jwtAuthorities, 'jwt-svid');
  keyIdsOf(found.witAuthorities, 'wit-svid');
  // WIT-SVID 6.1: a key ID serves one kind of SVID. The stable kind keeps it.
  const witAuthorities = found.witAuthorities.filter((one) => !jwtKeyIds.has(one.keyId));
  const { spiffe_sequence: sequence, spiffe_refresh_hint: hint } = document;
  const refreshHint = hint === undefined ? 0 : refreshHintOf(hint);
  const sequenceNumber = sequence === undefined ? 0n : sequenceOf(sequence);
  return {
    bundle: { trustDomain, ...found, witAuthorities, refreshHint, sequenceNumber },
    skipped,
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
  const found: JwtAuthority[] = [];
  for (const jwk of keysOf(readDocument(input))) {
    if (!isJsonObject(jwk) || (jwk['use'] !== undefined && jwk['use'] !== 'jwt-svid')) continue;
    add(found, readJwtAuthority(jwk));
  }
  keyIdsOf(found, 'jwt-svid');
  return found;
}

function readDocument(input: string | Uint8Array): JsonObject<bigint> {
  const document = parse(input);
  if (!isJsonObject(document)) throw invalid('not a JSON object');
  return document;
}

function parse(input: string | Uint8Array): JsonValue<bigint> {
  try {
    return readJsonExact(input, LIMITS);
  } catch (cause) {
    throw cause instanceof JsonError ? invalid(cause.message) : cause;
  }
}

function keysOf({ keys }: JsonObject<bigint>): readonly JsonValue<bigint>[] {
  if (!Array.isArray(keys)) throw invalid('"keys" is missing or not an array');
  if (keys.length > MAX_KEYS) throw invalid(`more than ${MAX_KEYS} keys`);
  return keys as readonly JsonValue<bigint>[];
}

/** Adds one key to where it belongs. @returns why it was skipped instead, if it was */
function sortIn(jwk: JsonValue<bigint>, found: Found): string | undefined {
  if (!isJsonObject(jwk)) return 'not an object';
  switch (useOf(jwk)) {
    case 'x509-svid':
      return add(found.x509Authorities, readX509Authority(jwk));
    case 'jwt-svid':
      return add(found.jwtAuthorities, readJwtAuthority(jwk));
    case 'wit-svid':
      return add(found.witAuthorities, readJwtAuthority(jwk));
    case undefined:
      return 'no known use';
  }
}

function add<A extends object>(list: A[], authority: A | Unusable): string | undefined {
  if ('unusable' in authority) return authority.unusable;
  list.push(authority);
  return undefined;
}

/** @throws SpiffeError when two authorities share a key ID, as it would no longer say which key signed a token */
function keyIdsOf(authorities: readonly JwtAuthority[], use: string): ReadonlySet<string> {
  const keyIds = new Set(authorities.map((one) => one.keyId));
  if (keyIds.size !== authorities.length) throw invalid(`two ${use} keys have one kid`);
  return keyIds;
}

function sequenceOf(value: JsonValue<bigint>): bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  if (typeof value === 'bigint' && value >= 0n && value <= MAX_SEQUENCE) return value;
  throw invalid('"spiffe_sequence" is not an unsigned 64-bit integer');
}

function refreshHintOf(value: JsonValue<bigint>): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid('"spiffe_refresh_hint" is not a whole number of seconds');
}

function invalid(reason: string): SpiffeError {
  return new SpiffeError('invalid-bundle', `bundle is malformed: ${reason}`);
}
