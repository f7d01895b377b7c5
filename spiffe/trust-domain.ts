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

/** How every SPIFFE ID begins (SPIFFE-ID 2). */
export const SCHEME = 'spiffe://';

const NAME = /^[a-z0-9._-]+$/;

/** How trust domains and IDs are read. */
export interface ReadOptions {
  /**
   * Takes the scheme and the trust domain in upper case too, and lower-cases both (SPIFFE-ID 2.4); paths keep their case
   * (2.4). Off by default. Only ASCII letters have a lower case here: what another letter would become is refused.
   */
  readonly normalize?: boolean;
}

/**
 * Reads a trust domain from its name (`example.org`) or from any SPIFFE ID inside it (`spiffe://example.org/x`).
 *
 * @throws SpiffeError `invalid-trust-domain` naming the broken rule of SPIFFE-ID 2.1 and 2.3
 * @throws TypeError for anything but a string
 */
export function parseTrustDomain(text: string, options: ReadOptions = {}): TrustDomain {
  if (typeof text !== 'string') throw new TypeError('a trust domain is read from a string');
  if (text === '') throw new SpiffeError('invalid-trust-domain', 'trust domain is missing');
  const { normalize = false } = options;
  if (!text.includes(':/')) return checkName(normalize ? lowerCase(text) : text, 'invalid-trust-domain');
  const id = normalize ? withLowerCaseAuthority(text) : text;
  if (!id.startsWith(SCHEME)) throw new SpiffeError('invalid-trust-domain', 'scheme is missing or invalid');
  if (id.length > MAX_ID_LENGTH) {
    throw new SpiffeError('invalid-trust-domain', `SPIFFE ID is longer than ${MAX_ID_LENGTH} bytes`);
  }
  const rest = id.slice(SCHEME.length);
  const slash = rest.indexOf('/');
  const name = slash < 0 ? rest : rest.slice(0, slash);
  if (name === '') throw new SpiffeError('invalid-trust-domain', 'trust domain is missing');
  if (slash >= 0) checkPath(rest.slice(slash), 'invalid-trust-domain');
  return checkName(name, 'invalid-trust-domain');
}

/** Whether a value is the bare name of a trust domain as it stands. */
export function isTrustDomain(value: unknown): value is TrustDomain {
  return typeof value === 'string' && value.length <= MAX_TRUST_DOMAIN_LENGTH && NAME.test(value);
}

/** A text with the scheme and the authority of a URI in lower case, and all else as it was. */
export function withLowerCaseAuthority(text: string): string {
  return text.replace(/^[A-Za-z]+:\/\/[^/]*/, lowerCase);
}

/** Not `toLowerCase`, which makes a `k` of the Kelvin sign. */
function lowerCase(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
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
