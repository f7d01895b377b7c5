import { SpiffeError } from '../error.ts';
import type { SpiffeId } from '../id.ts';
import { type JwtClaims, type JwtSigningKey, signClaims } from '../jwt/sign.ts';
import { type ConfirmationKey, confirmationClaim } from './confirmation.ts';
import { tokenIdOf } from './token-id.ts';

/** What a WIT-SVID says. Times are Unix seconds and whole numbers. */
export interface WitSvidTemplate {
  readonly id: SpiffeId;
  /** The workload's public key. It may be the same for all instances of a workload on one node (WIT-SVID 4). */
  readonly confirmation: ConfirmationKey;
  readonly expiresAt: number;
  /** Left out when absent. */
  readonly issuedAt?: number;
  /** Left out when absent. */
  readonly notBefore?: number;
  /** Left out when absent or empty. An https URL is refused: the token is no OIDC token (WIT-SVID 3.7, Appendix B). */
  readonly issuer?: string;
  /** At least 16 random bytes that make the token's `jti` (WIT-SVID 3.3); left out when absent. */
  readonly random?: Uint8Array;
  /** More claims, none of those above (WIT-SVID 3.8). */
  readonly extra?: JwtClaims;
}

/** Claims that only the template's own members set; `aud` is set by nothing at all (WIT-SVID 3.8). */
const RESERVED = ['sub', 'exp', 'cnf', 'iat', 'nbf', 'iss', 'jti', 'aud'];

/**
 * Signs a WIT-SVID: header exactly `alg`, `kid` and `typ`, never an audience.
 *
 * @returns the token in compact form
 * @throws SpiffeError `invalid-wit-svid` when the template breaks WIT-SVID 3
 */
export async function signWitSvid(svid: JwtSigningKey & WitSvidTemplate): Promise<string> {
  return signClaims({ ...svid, type: 'wit+jwt', claims: witSvidClaims(svid) });
}

/**
 * The claims of a WIT-SVID, for those who let others change them before signing.
 *
 * @throws SpiffeError `invalid-wit-svid`
 */
export function witSvidClaims(svid: WitSvidTemplate): JwtClaims {
  const { confirmation, expiresAt, extra = {}, id, issuedAt, issuer, notBefore, random } = svid;
  for (const time of [expiresAt, issuedAt ?? 0, notBefore ?? 0]) {
    if (!Number.isSafeInteger(time)) throw invalid('invalid WIT-SVID time: not a whole number of seconds');
  }
  if (issuer !== undefined && /^\s*https:/i.test(issuer)) throw invalid('invalid WIT-SVID issuer: an https URL');
  const taken = RESERVED.find((name) => Object.hasOwn(extra, name));
  if (taken !== undefined) throw invalid(`invalid WIT-SVID claim: ${taken} cannot be set as an extra one`);
  return {
    ...extra,
    ...confirmationClaim(confirmation),
    exp: expiresAt,
    ...(issuedAt !== undefined && { iat: issuedAt }),
    ...(issuer !== undefined && issuer !== '' && { iss: issuer }),
    ...(random !== undefined && { jti: tokenIdOf(random) }),
    ...(notBefore !== undefined && { nbf: notBefore }),
    sub: id,
  };
}

function invalid(message: string): SpiffeError {
  return new SpiffeError('invalid-wit-svid', message);
}
