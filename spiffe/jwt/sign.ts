import { SpiffeError } from '../error.ts';
import type { SpiffeId } from '../id.ts';
import type { Signer } from '../signer.ts';
import { SIGNING } from './algorithm.ts';
import { ecdsaDerToJose } from './ecdsa.ts';

/** What a JWT-SVID says. Times are Unix seconds and whole numbers. */
export interface JwtSvidTemplate {
  readonly id: SpiffeId;
  /** Empty values are dropped; at least one must be left. */
  readonly audience: readonly string[];
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** Left out when absent or empty. */
  readonly issuer?: string;
  /** Left out when absent. */
  readonly jwtId?: string;
}

/** A key that signs tokens, and the name under which bundles publish it. */
export interface JwtSigningKey {
  readonly signer: Signer;
  readonly keyId: string;
}

/** Claims as they are signed; times are whole seconds. */
export type JwtClaims = Readonly<Record<string, unknown>>;

/**
 * Signs a JWT-SVID: header exactly `alg`, `kid` and `typ`, audience always a list.
 *
 * @returns the token in compact form
 * @throws SpiffeError `invalid-jwt-svid` when the template breaks JWT-SVID 3
 */
export async function signJwtSvid(svid: JwtSigningKey & JwtSvidTemplate): Promise<string> {
  return signClaims({ ...svid, type: 'JWT', claims: jwtSvidClaims(svid) });
}

/**
 * The claims of a JWT-SVID, for those who let others change them before signing.
 *
 * @throws SpiffeError `invalid-jwt-svid`
 */
export function jwtSvidClaims({ id, audience, issuedAt, expiresAt, issuer, jwtId }: JwtSvidTemplate): JwtClaims {
  const aud = audience.filter((value) => value !== '');
  if (aud.length === 0) throw new SpiffeError('invalid-jwt-svid', 'invalid JWT-SVID audience: cannot be empty');
  if (!Number.isSafeInteger(issuedAt) || !Number.isSafeInteger(expiresAt)) {
    throw new SpiffeError('invalid-jwt-svid', 'invalid JWT-SVID time: not a whole number of seconds');
  }
  return {
    aud,
    exp: expiresAt,
    iat: issuedAt,
    ...(issuer === undefined || issuer === '' ? {} : { iss: issuer }),
    ...(jwtId === undefined ? {} : { jti: jwtId }),
    sub: id,
  };
}

/**
 * Signs claims as a compact JWS (RFC 7515 7.1) with the algorithm of the key's type.
 *
 * @param token.type the header's `typ`: `JWT`, or `wit+jwt` for a WIT-SVID
 */
export async function signClaims(
  token: JwtSigningKey & { readonly type: 'JWT' | 'wit+jwt'; readonly claims: JwtClaims },
): Promise<string> {
  const { signer, keyId, type, claims } = token;
  const code = type === 'JWT' ? 'invalid-jwt-svid' : 'invalid-wit-svid';
  if (keyId === '') throw new SpiffeError(code, 'a signing key needs a key ID');
  const algorithm = SIGNING[signer.keyType];
  const signed = `${encode({ alg: algorithm.name, kid: keyId, typ: type })}.${encode(claims)}`;
  const signature = await signer.sign(algorithm.signature, Buffer.from(signed, 'ascii'));
  const { integerLength } = algorithm;
  const jose = integerLength === undefined ? signature : ecdsaDerToJose(signature, integerLength);
  return `${signed}.${jose.toString('base64url')}`;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
