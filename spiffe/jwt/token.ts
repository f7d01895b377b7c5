import type { SpiffeId } from '../id.ts';
import type { JsonValue } from '../json.ts';
import { type CompactToken, readCompact, readPayload, type TokenKind } from './compact.ts';
import { audienceOf, expiryOf, subjectOf, textOf, timeOf } from './registered-claims.ts';

const JWT_SVID: TokenKind = {
  name: 'JWT token',
  code: 'invalid-jwt-svid',
  types: new Set([undefined, 'JWT', 'JOSE']),
  typeRule: 'type is neither JWT nor JOSE',
};

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
 * Takes a JWT-SVID apart and judges its header (JWT-SVID 2).
 *
 * @param extraHeaders whether a header beyond `alg`, `kid` and `typ` is refused or passed over; `crit` always is refused
 * @throws SpiffeError `invalid-jwt-svid`, "unable to parse JWT token: ..."
 */
export function readToken(token: string, extraHeaders: 'refuse' | 'ignore'): CompactToken {
  return readCompact(token, JWT_SVID, extraHeaders);
}

/**
 * Reads the claims of a JWT-SVID (JWT-SVID 3). The form of each claim is judged here, its truth elsewhere.
 *
 * @throws SpiffeError `invalid-jwt-svid`
 */
export function readClaims(token: CompactToken): SvidClaims {
  const claims = readPayload(token, JWT_SVID);
  const audience = audienceOf(claims, JWT_SVID);
  const issuedAt = timeOf(claims, 'iat', JWT_SVID);
  const notBefore = timeOf(claims, 'nbf', JWT_SVID);
  textOf(claims, 'iss', JWT_SVID);
  textOf(claims, 'jti', JWT_SVID);
  const id = subjectOf(claims, JWT_SVID);
  const expiresAt = expiryOf(claims, JWT_SVID);
  return { id, audience, expiresAt, issuedAt, notBefore, all: { ...claims, aud: audience } };
}
