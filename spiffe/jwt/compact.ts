import { SpiffeError, type SpiffeErrorCode } from '../error.ts';
import { isJsonObject, JsonError, type JsonLimits, type JsonObject, type JsonValue, readJson } from '../json.ts';
import { isJwsAlgorithm, type JwsAlgorithm } from './algorithm.ts';

/** Far above any token that fits an HTTP header, and low enough to bound what an unverified one costs. */
const MAX_TOKEN_LENGTH = 64 * 1024;
const MAX_KEY_ID_LENGTH = 1024;
const LIMITS: JsonLimits = { maxLength: MAX_TOKEN_LENGTH, maxDepth: 32 };

/** The header members that tokens of SPIFFE have (JWT-SVID 2, WIT-SVID 2). */
const HEADERS: ReadonlySet<string> = new Set(['alg', 'kid', 'typ']);

/** What tells the kinds of tokens apart: how they are named in messages, and what their headers may say. */
export interface TokenKind {
  /** In "unable to parse ...". */
  readonly name: string;
  readonly code: SpiffeErrorCode;
  /** The values of `typ`, compared exactly; `undefined` is among them where it may be absent. */
  readonly types: ReadonlySet<unknown>;
  /** What is wrong with every other `typ`. */
  readonly typeRule: string;
}

/** A token taken apart, nothing of it verified. */
export interface CompactToken {
  readonly algorithm: JwsAlgorithm;
  readonly keyId: string | undefined;
  /** The payload, not yet looked at: the header is judged before it. */
  readonly payload: string;
}

/**
 * Takes a compact JWS (RFC 7515 7.1) apart and judges its header, the algorithm first (JWT-SVID 4).
 *
 * @param extraHeaders whether a header beyond `alg`, `kid` and `typ` is refused or passed over; `crit` always is refused
 * @throws SpiffeError with the code of the kind, "unable to parse ..."
 */
export function readCompact(token: string, kind: TokenKind, extraHeaders: 'refuse' | 'ignore'): CompactToken {
  if (token.length > MAX_TOKEN_LENGTH) throw malformed(kind, `longer than ${MAX_TOKEN_LENGTH} bytes`);
  const [head = '', payload, signature, ...more] = token.split('.');
  if (payload === undefined || signature === undefined || more.length > 0) throw malformed(kind, 'not three parts');
  const header = readObject(head, 'header', kind);
  const { alg, kid, typ } = header;
  if (!isJwsAlgorithm(alg)) throw malformed(kind, 'signature algorithm is missing or not allowed');
  if (!kind.types.has(typ)) throw malformed(kind, kind.typeRule);
  if ('crit' in header) throw malformed(kind, 'critical headers are not understood');
  // RFC 7797: some readers would take the payload as it stands, without crit as well, and so see other claims than we do.
  if (header['b64'] === false) throw malformed(kind, 'payload is not encoded');
  if (extraHeaders === 'refuse' && Object.keys(header).some((name) => !HEADERS.has(name))) {
    throw malformed(kind, 'header has more than alg, kid and typ');
  }
  if (signature === '') throw malformed(kind, 'signature is missing');
  if (!isBase64Url(signature)) throw malformed(kind, 'signature is not base64url');
  return { algorithm: alg, keyId: keyIdOf(kid, kind), payload };
}

/** The claims of a payload, their form not yet judged. @throws SpiffeError with the code of the kind */
export function readPayload({ payload }: CompactToken, kind: TokenKind): JsonObject {
  return readObject(payload, 'payload', kind);
}

/** "unable to parse ...": the token is not of its kind's form. */
export function malformed(kind: TokenKind, reason: string): SpiffeError {
  return new SpiffeError(kind.code, `unable to parse ${kind.name}: ${reason}`);
}

/** Whether this is the one canonical spelling: no padding, no other alphabet, no stray bits at the end. */
function isBase64Url(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('base64url') === part;
}

function keyIdOf(kid: JsonValue | undefined, kind: TokenKind): string | undefined {
  if (kid === undefined) return undefined;
  if (typeof kid !== 'string') throw malformed(kind, 'key id is not a string');
  if (kid.length > MAX_KEY_ID_LENGTH) throw malformed(kind, 'key id is too long');
  if (kid === '') throw new SpiffeError(kind.code, 'token header missing key id');
  return kid;
}

function readObject(part: string, what: string, kind: TokenKind): JsonObject {
  if (!isBase64Url(part)) throw malformed(kind, `${what} is not base64url`);
  let value: JsonValue;
  try {
    value = readJson(Buffer.from(part, 'base64url'), LIMITS);
  } catch (cause) {
    if (cause instanceof JsonError) throw malformed(kind, `${what}: ${cause.message}`);
    throw cause;
  }
  if (!isJsonObject(value)) throw malformed(kind, `${what} is not a JSON object`);
  return value;
}
