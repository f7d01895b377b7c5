import type { JwtAuthority } from '../bundle/bundle.ts';
import { SpiffeError } from '../error.ts';
import { goQuote, goQuoteAll } from '../go-quote.ts';
import { pathOf, type SpiffeId, trustDomainOf } from '../id.ts';
import type { JsonValue } from '../json.ts';
import type { TrustDomain } from '../trust-domain.ts';
import type { CompactToken } from './compact.ts';
import { findSigner, isOver } from './signature.ts';
import { readClaims, readToken, type SvidClaims } from './token.ts';

/** What a token is judged by. */
export interface JwtSvidExpectation {
  /** The verifier's own names, at least one; the token must be meant for one of them (JWT-SVID 3.2). */
  readonly audience: readonly string[];
  /** The JWT authorities of a trust domain, and of no other; undefined when the domain is unknown. */
  readonly authorities: (trustDomain: TrustDomain) => readonly JwtAuthority[] | undefined;
  /** Unix ms. */
  readonly now: number;
  /** By how much the clocks of issuer and verifier may differ, seconds; 60 when absent. */
  readonly leeway?: number;
  /**
   * What to do with a header beyond `alg`, `kid` and `typ`, which issuers must not set (JWT-SVID 2). Refused when
   * absent. Nothing here ever acts on one.
   */
  readonly extraHeaders?: 'refuse' | 'ignore';
  /** `optional` tries all keys of the trust domain for a token without `kid` (JWT-SVID 2.2). Required when absent. */
  readonly keyId?: 'required' | 'optional';
  /** `required` refuses a subject that names a whole trust domain. Optional when absent. */
  readonly path?: 'required' | 'optional';
}

/** What a JWT-SVID says. */
export interface JwtSvid {
  readonly id: SpiffeId;
  readonly audience: readonly string[];
  /** Unix seconds, perhaps with a fraction. */
  readonly expiresAt: number;
  /** Unix seconds; undefined when the token does not say. */
  readonly issuedAt: number | undefined;
  /** Undefined when the token names none. */
  readonly keyId: string | undefined;
  /** All claims, `aud` always as a list. Only those of the standard mean something across trust domains. */
  readonly claims: Readonly<Record<string, JsonValue>>;
}

/** A JWT-SVID that an authority of its own trust domain signed, for the asked audience, and that is valid now. */
export interface VerifiedJwtSvid extends JwtSvid {
  readonly verified: true;
}

/** A token as it describes itself. Good for one's own tokens, and never a proof of anything. */
export interface UnverifiedJwtSvid extends JwtSvid {
  readonly verified: false;
}

const DEFAULT_LEEWAY = 60;

/**
 * Verifies a JWT-SVID (JWT-SVID 4): form, algorithm, key of the subject's own trust domain, signature, audience, times.
 * Messages are those of the reference where it has them; none repeats the token.
 *
 * @throws SpiffeError `invalid-jwt-svid` for a token that is not well formed, `untrusted-jwt-svid` for one that is
 * @throws TypeError when no audience is expected, as that would mean any, or when no time can be judged by `now` and
 * `leeway`
 */
export async function verifyJwtSvid(token: string, expected: JwtSvidExpectation): Promise<VerifiedJwtSvid> {
  const audience = expected.audience.filter((value) => value !== '');
  if (audience.length === 0) throw new TypeError('an audience must be expected');
  const { leeway = DEFAULT_LEEWAY } = expected;
  const now = expected.now / 1000;
  // No comparison with NaN is true, so it would make every token valid for ever.
  if (!Number.isFinite(now) || !(leeway >= 0 && leeway < Infinity)) throw new TypeError('now or leeway is not a time');
  const parts = readToken(token, expected.extraHeaders ?? 'refuse');
  if (parts.keyId === undefined && expected.keyId !== 'optional') throw malformed('token header missing key id');
  const claims = readClaims(parts);
  if (expected.path === 'required' && pathOf(claims.id) === '') {
    throw malformed('token has in invalid subject claim: path is missing');
  }
  const signature = await findSigner(token, parts.algorithm, candidates(parts, claims.id, expected.authorities));
  if ('cause' in signature) throw untrusted('token signature cannot be verified', signature.cause);
  checkAudience(claims, audience);
  checkTimes(claims, now, leeway);
  // No token outlives the key that signed it. Last, as nearly always the token says by itself that it is over.
  if (isOver(signature.authority, now - leeway)) throw untrusted('the key that signed the token has expired');
  return { ...svidOf(parts, claims), verified: true };
}

/**
 * Reads a token without verifying it. For tokens that come straight from one's own agent or server.
 *
 * @throws SpiffeError `invalid-jwt-svid`
 */
export function readUnverifiedJwtSvid(token: string): UnverifiedJwtSvid {
  const parts = readToken(token, 'ignore');
  return { ...svidOf(parts, readClaims(parts)), verified: false };
}

function svidOf({ keyId }: CompactToken, { id, audience, expiresAt, issuedAt, all }: SvidClaims): JwtSvid {
  return { id, audience, expiresAt, issuedAt, keyId, claims: all };
}

/** The authorities of the subject's trust domain that may have signed. */
function candidates(
  { keyId }: CompactToken,
  id: SpiffeId,
  authoritiesOf: JwtSvidExpectation['authorities'],
): readonly JwtAuthority[] {
  const trustDomain = trustDomainOf(id);
  const authorities = authoritiesOf(trustDomain);
  if (authorities === undefined || (keyId === undefined && authorities.length === 0)) {
    throw untrusted(`no keys found for trust domain ${goQuote(trustDomain)}`);
  }
  if (keyId === undefined) return authorities;
  const named = authorities.filter((authority) => authority.keyId === keyId);
  if (named.length === 0) {
    throw untrusted(`public key ${goQuote(keyId)} not found in trust domain ${goQuote(trustDomain)}`);
  }
  return named;
}

function checkAudience({ audience }: SvidClaims, expected: readonly string[]): void {
  if (audience.some((value) => expected.includes(value))) return;
  throw untrusted(`expected audience in ${goQuoteAll(expected)} (audience=${goQuoteAll(audience)})`);
}

function checkTimes({ notBefore, expiresAt, issuedAt }: SvidClaims, now: number, leeway: number): void {
  if (notBefore !== undefined && now + leeway < notBefore) throw untrusted('token is not valid yet');
  if (now - leeway >= expiresAt) throw untrusted('token has expired');
  // Not asked for by RFC 7519, but whoever issues into the future has a clock that cannot be trusted.
  if (issuedAt !== undefined && now + leeway < issuedAt) throw untrusted('token is issued in the future');
}

function malformed(message: string): SpiffeError {
  return new SpiffeError('invalid-jwt-svid', message);
}

function untrusted(message: string, cause?: unknown): SpiffeError {
  return new SpiffeError('untrusted-jwt-svid', message, cause === undefined ? undefined : { cause });
}
