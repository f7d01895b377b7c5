import { SpiffeError } from './error.ts';

declare const brand: unique symbol;

/**
 * The bare name of a trust domain, such as `example.org`. It cannot be made invalid: only the functions here produce
 * one. Two names are the same trust domain when the strings are equal (SPIFFE-ID 2.1, 2.4).
 */
export type TrustDomain = string & { readonly [brand]: 'trust-domain' };

/** SPIFFE-ID 2.3: a trust domain name is at most 255 bytes. */
const MAX_TRUST_DOMAIN_LENGTH = 255;

/** SPIFFE-ID 2.3: the whole URI is at most 2048 bytes in anything that we accept or make. */
export const MAX_ID_LENGTH = 2048;

const SCHEME = 'spiffe://';
const NAME = /^[a-z0-9._-]+$/;

/**
 * Reads a trust domain from its name (`example.org`) or from any SPIFFE ID inside it (`spiffe://example.org/x`).
 *
 * @throws SpiffeError `invalid-trust-domain` naming the broken rule of SPIFFE-ID 2.1 and 2.3.
 */
export function parseTrustDomain(text: string): TrustDomain {
  if (text === '') throw new SpiffeError('invalid-trust-domain', 'trust domain is missing');
  if (!text.includes(':/')) return checkName(text, 'invalid-trust-domain');
  if (!text.startsWith(SCHEME)) throw new SpiffeError('invalid-trust-domain', 'scheme is missing or invalid');
  const rest = text.slice(SCHEME.length);
  if (text.length > MAX_ID_LENGTH) {
    throw new SpiffeError('invalid-trust-domain', `SPIFFE ID is longer than ${MAX_ID_LENGTH} bytes`);
  }
  const slash = rest.indexOf('/');
  const name = slash < 0 ? rest : rest.slice(0, slash);
  if (name === '') throw new SpiffeError('invalid-trust-domain', 'trust domain is missing');
  if (slash >= 0) checkPath(rest.slice(slash), 'invalid-trust-domain');
  return checkName(name, 'invalid-trust-domain');
}

/** @throws SpiffeError with `code` when `name` breaks SPIFFE-ID 2.1 (charset) or 2.3 (length). */
export function checkName(name: string, code: 'invalid-id' | 'invalid-trust-domain'): TrustDomain {
  if (name.length > MAX_TRUST_DOMAIN_LENGTH) {
    throw new SpiffeError(code, `trust domain name is longer than ${MAX_TRUST_DOMAIN_LENGTH} bytes`);
  }
  if (!NAME.test(name)) {
    throw new SpiffeError(
      code,
      'trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores',
    );
  }
  return name as TrustDomain;
}

/**
 * @param path begins with `/`
 * @throws SpiffeError with `code` when `path` breaks SPIFFE-ID 2.2.
 */
export function checkPath(path: string, code: 'invalid-id' | 'invalid-trust-domain'): void {
  for (const segment of path.slice(1).split('/')) {
    if (segment === '') {
      throw new SpiffeError(
        code,
        path.endsWith('/') ? 'path cannot have a trailing slash' : 'path cannot contain empty segments',
      );
    }
    if (segment === '.' || segment === '..') throw new SpiffeError(code, 'path cannot contain dot segments');
    if (!/^[A-Za-z0-9._-]+$/.test(segment)) {
      throw new SpiffeError(
        code,
        'path segment characters are limited to letters, numbers, dots, dashes, and underscores',
      );
    }
  }
}
