import { FinialError, toFinialError } from '../common/errors.ts';
import { refuseWitInAuthorization } from '../spiffe/wit/http.ts';

/** Permission to send a token where others may read it. */
export interface BearerOptions {
  /** Allows plain http, for links that are protected by other means, such as within one pod. */
  readonly insecure?: boolean;
}

/** JWS Compact: the only form of a JWT-SVID (JWT-SVID 1). Nothing else gets into a header, line breaks least of all. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/**
 * The value of the header `Authorization` with which HTTP requests carry a JWT-SVID (JWT-SVID 5.2).
 *
 * @throws FinialError `invalid-argument` for what is no token, and for a WIT-SVID, which must not be sent so (WIT-SVID 5)
 */
export function authorizationHeader(token: string): string {
  if (!COMPACT.test(token)) throw new FinialError('invalid-argument', 'a bearer token must be a compact token');
  const value = `Bearer ${token}`;
  try {
    refuseWitInAuthorization([value]);
  } catch (error) {
    throw toFinialError(error);
  }
  return value;
}

/**
 * The headers of an HTTP request that carries a JWT-SVID; the name is in lower case, as HTTP/2 wants it. Whoever reads
 * a token can use it, so it goes over https only (JWT-SVID 7.3).
 *
 * @param target where the request goes
 * @throws FinialError `invalid-argument`
 */
export function bearerHeaders(
  target: string | URL,
  token: string,
  options: BearerOptions = {},
): { readonly authorization: string } {
  requireConfidential(target, options);
  return { authorization: authorizationHeader(token) };
}

/**
 * The entry of gRPC metadata that carries a JWT-SVID (JWT-SVID 5.3): `metadata.set(...authorizationMetadata(token))`.
 * gRPC clients send it over whatever channel they have: that must be TLS, or a Unix socket.
 *
 * @throws FinialError `invalid-argument`
 */
export function authorizationMetadata(token: string): readonly [key: 'authorization', value: string] {
  return ['authorization', authorizationHeader(token)];
}

/**
 * Refuses a URL to which a token would travel where others may read it (JWT-SVID 7.3): all but https, and http only when
 * asked for.
 *
 * @throws FinialError `invalid-argument`
 */
export function requireConfidential(target: string | URL, { insecure = false }: BearerOptions = {}): void {
  const protocol = URL.canParse(String(target)) ? new URL(target).protocol : '';
  if (protocol === 'https:') return;
  if (protocol !== 'http:') throw new FinialError('invalid-argument', 'not an http or https URL');
  if (!insecure) throw new FinialError('invalid-argument', 'a token is sent over https only');
}
