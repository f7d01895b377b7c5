import type { JwtAuthority } from '../bundle/bundle.ts';
import { SpiffeError } from '../error.ts';
import { goQuote } from '../go-quote.ts';
import { trustDomainOf } from '../id.ts';
import { findSigner, isOver } from '../jwt/signature.ts';
import type { TrustDomain } from '../trust-domain.ts';
import { readWitSvid, requirePath, type WitSvid } from './token.ts';

/** What a WIT-SVID is judged by. */
export interface WitSvidExpectation {
  /** The WIT authorities of a trust domain, and of no other; undefined when the domain is unknown. */
  readonly authorities: (trustDomain: TrustDomain) => readonly JwtAuthority[] | undefined;
  /** Unix ms. */
  readonly now: number;
  /** How long after its end a token still holds, as clocks differ: seconds, 0 to 120 (WIT-SVID 3.4); 60 when absent. */
  readonly leeway?: number;
  /**
   * The longest life of a token that is accepted, seconds (WIT-SVID 3.5), counted from `nbf`, else from `iat`, and from
   * now where neither says that it began earlier. Any when absent.
   */
  readonly maxLifetime?: number;
  /** `required` refuses a subject that names a whole trust domain. Optional when absent. */
  readonly path?: 'required' | 'optional';
}

/**
 * A WIT-SVID that an authority of its own trust domain signed and that is valid now. Whoever presents it has proved
 * nothing: anybody who saw the token can present it.
 */
export interface UnprovenWitSvid extends WitSvid {
  readonly state: 'unproven';
}

const DEFAULT_LEEWAY = 60;
const MAX_LEEWAY = 120;

/**
 * Verifies a WIT-SVID (WIT-SVID 4): form, algorithm, key of the subject's own trust domain, signature, times. This is NOT
 * authentication, for which there is `authenticateWitSvid` (WIT-SVID 7.1).
 *
 * @throws SpiffeError `invalid-wit-svid` for a token that is not well formed, `untrusted-wit-svid` for one that is
 * @throws TypeError when the leeway is out of bounds, or no time can be judged by `now` and `maxLifetime`
 */
export async function verifyUnprovenWitSvid(token: string, expected: WitSvidExpectation): Promise<UnprovenWitSvid> {
  const { leeway = DEFAULT_LEEWAY, maxLifetime = Infinity } = expected;
  const now = expected.now / 1000;
  if (!(leeway >= 0 && leeway <= MAX_LEEWAY)) throw new TypeError(`leeway is not 0 to ${MAX_LEEWAY} seconds`);
  // No comparison with NaN is true, so it would make every token valid for ever.
  if (!Number.isFinite(now) || !(maxLifetime > 0)) throw new TypeError('now or maxLifetime is not a time');
  const { parts, svid } = readWitSvid(token);
  if (expected.path === 'required') requirePath(svid);
  const signature = await findSigner(token, parts.algorithm, candidates(svid, expected.authorities));
  if ('cause' in signature) throw untrusted('token signature cannot be verified', signature.cause);
  checkTimes(svid, now, leeway, maxLifetime);
  // No token outlives the key that signed it.
  if (isOver(signature.authority, now - leeway)) throw untrusted('the key that signed the token has expired');
  return { ...svid, state: 'unproven' };
}

/** The authorities of the subject's trust domain that may have signed; key IDs are compared exactly (WIT-SVID 2.1). */
function candidates({ id, keyId }: WitSvid, authoritiesOf: WitSvidExpectation['authorities']): readonly JwtAuthority[] {
  const trustDomain = trustDomainOf(id);
  const authorities = authoritiesOf(trustDomain);
  if (authorities === undefined || authorities.length === 0) {
    throw untrusted(`no WIT keys found for trust domain ${goQuote(trustDomain)}`);
  }
  const named = authorities.filter((authority) => authority.keyId === keyId);
  if (named.length > 0) return named;
  throw untrusted(`WIT key ${goQuote(keyId)} not found in trust domain ${goQuote(trustDomain)}`);
}

function checkTimes(
  { expiresAt, issuedAt, notBefore }: WitSvid,
  now: number,
  leeway: number,
  maxLifetime: number,
): void {
  if (now - leeway >= expiresAt) throw untrusted('token has expired');
  // WIT-SVID 3.5 grants no leeway here.
  if (notBefore !== undefined && now < notBefore) throw untrusted('token is not valid yet');
  const start = notBefore ?? Math.min(issuedAt ?? now, now);
  if (expiresAt - start > maxLifetime) throw untrusted('token lives longer than is accepted');
}

function untrusted(message: string, cause?: unknown): SpiffeError {
  return new SpiffeError('untrusted-wit-svid', message, cause === undefined ? undefined : { cause });
}
