import { SpiffeError } from '../error.ts';
import { parseSpiffeId, type SpiffeId } from '../id.ts';
import { isJsonObject, JsonError, type JsonLimits, type JsonObject, type JsonValue, readJson } from '../json.ts';
import { isJwsAlgorithm, type JwsAlgorithm } from './algorithm.ts';

/** Far above any token that fits an HTTP header, and low enough to bound what an unverified one costs. */
const MAX_TOKEN_LENGTH = 64 * 1024;
/** A token with more audiences is refused. */
const MAX_AUDIENCES = 100;
const MAX_KEY_ID_LENGTH = 1024;
const LIMITS: JsonLimits = { maxLength: MAX_TOKEN_LENGTH, maxDepth: 32 };

/** The header members that JWT-SVID 2 allows. */
const HEADERS: ReadonlySet<string> = new Set(['alg', 'kid', 'typ']);
const TYPES: ReadonlySet<unknown> = new Set([undefined, 'JWT', 'JOSE']);

/** A token taken apart, nothing of it verified. */
export interface CompactToken {
  readonly algorithm: JwsAlgorithm;
  readonly keyId: string | undefined;
  /** The payload, not yet looked at: the header is judged before it. */
  readonly payload: string;
}

/** The claims that the standard speaks of. Times are Unix seconds, perhaps with a fraction. */
export interface SvidClaims {
  readonly id: SpiffeId;
  readonly audience: readonly string[];
  readonly expiresAt: number;
  readonly issuedAt: number | undefined;
  readonly notBefore: number | undefined;
  /** All claims, `aud` always as a list. */
  readonly all: Readonly<Record<string, JsonValue>>;
}

/**
 * Takes a compact JWS apart and judges its header.
 *
 * @param extraHeaders whether a header beyond `alg`, `kid` and `typ` is refused or passed over; `crit` always is refused
 * @throws SpiffeError `invalid-jwt-svid`, "unable to parse JWT token: ..."
 */
export function readToken(token: string, extraHeaders: 'refuse' | 'ignore'): CompactToken {
  if (token.length > MAX_TOKEN_LENGTH) throw malformed(`longer than ${MAX_TOKEN_LENGTH} bytes`);
  const [head = '', payload = '', signature = '', ...more] = token.split('.');
  if (payload === '' || more.length > 0) throw malformed('not three parts');
  const header = readObject(head, 'header');
  const { alg, kid, typ } = header;
  if (!isJwsAlgorithm(alg)) throw malformed('signature algorithm is missing or not allowed');
  if (!TYPES.has(typ)) throw malformed('type is neither JWT nor JOSE');
  if ('crit' in header) throw malformed('critical headers are not understood');
  if (extraHeaders === 'refuse' && Object.keys(header).some((name) => !HEADERS.has(name))) {
    throw malformed('header has more than alg, kid and typ');
  }
  if (!isBase64Url(signature)) throw malformed('signature is not base64url');
  return { algorithm: alg, keyId: keyIdOf(kid), payload };
}

/** Whether this is the one canonical spelling: no padding, no other alphabet, no stray bits at the end. */
function isBase64Url(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('base64url') === part;
}

function keyIdOf(kid: JsonValue | undefined): string | undefined {
  if (kid === undefined) return undefined;
  if (typeof kid !== 'string') throw malformed('key id is not a string');
  if (kid.length > MAX_KEY_ID_LENGTH) throw malformed('key id is too long');
  if (kid === '') throw invalid('token header missing key id');
  return kid;
}

/**
 * Reads the claims of a payload. The form of each claim is judged here, its truth elsewhere.
 *
 * @throws SpiffeError `invalid-jwt-svid`
 */
export function readClaims(payload: string): SvidClaims {
  const claims = readObject(payload, 'payload');
  const { sub } = claims;
  const audience = audienceOf(claims['aud']);
  const expiresAt = timeOf(claims, 'exp');
  const issuedAt = timeOf(claims, 'iat');
  const notBefore = timeOf(claims, 'nbf');
  if (sub === undefined || sub === null || sub === '') throw invalid('token missing subject claim');
  if (expiresAt === undefined) throw invalid('token missing exp claim');
  return { id: subjectOf(sub), audience, expiresAt, issuedAt, notBefore, all: { ...claims, aud: audience } };
}

function subjectOf(sub: JsonValue): SpiffeId {
  if (typeof sub !== 'string') throw invalid('token has in invalid subject claim: not a string');
  try {
    return parseSpiffeId(sub);
  } catch (cause) {
    if (cause instanceof SpiffeError) throw invalid(`token has in invalid subject claim: ${cause.message}`, cause);
    throw cause;
  }
}

/** One value may stand without a list (RFC 7519 4.1.3). */
function audienceOf(aud: JsonValue | undefined): readonly string[] {
  if (aud === undefined) return [];
  const values: readonly JsonValue[] = typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud : [null];
  if (values.length > MAX_AUDIENCES) throw invalid(`token has more than ${MAX_AUDIENCES} audiences`);
  return values.map((value) => {
    if (typeof value !== 'string') throw invalid('token aud claim is neither a string nor a list of strings');
    return value;
  });
}

/** A NumericDate (RFC 7519 2): a number, perhaps with a fraction. One too large to compare exactly is refused. */
function timeOf(claims: JsonObject, name: 'exp' | 'iat' | 'nbf'): number | undefined {
  const time = claims[name];
  if (time === undefined || time === null) return undefined;
  if (typeof time !== 'number' || Math.abs(time) > Number.MAX_SAFE_INTEGER) {
    throw invalid(`token ${name} claim is not a time`);
  }
  return time;
}

function readObject(part: string, what: string): JsonObject {
  if (!isBase64Url(part)) throw malformed(`${what} is not base64url`);
  let value: JsonValue;
  try {
    value = readJson(Buffer.from(part, 'base64url'), LIMITS);
  } catch (cause) {
    if (cause instanceof JsonError) throw malformed(`${what}: ${cause.message}`);
    throw cause;
  }
  if (!isJsonObject(value)) throw malformed(`${what} is not a JSON object`);
  return value;
}

function malformed(reason: string): SpiffeError {
  return invalid(`unable to parse JWT token: ${reason}`);
}

function invalid(message: string, cause?: unknown): SpiffeError {
  return new SpiffeError('invalid-jwt-svid', message, cause === undefined ? undefined : { cause });
}
