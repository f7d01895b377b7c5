import { SpiffeError } from './error.ts';
import { checkName, checkPath, MAX_ID_LENGTH, type TrustDomain } from './trust-domain.ts';

declare const brand: unique symbol;

/**
 * A SPIFFE ID in its one canonical spelling, such as `spiffe://example.org/ns/a/sa/b`. It cannot be made invalid: only
 * the functions here produce one. IDs are equal when the strings are equal, so an ID is a fit key of a Map or Set.
 */
export type SpiffeId = string & { readonly [brand]: 'spiffe-id' };

const SCHEME = 'spiffe://';

/**
 * Reads a SPIFFE ID. Strict: lower-case scheme and trust domain only (SPIFFE-ID 2.1; for the tension with 2.4 see
 * docs/decisions/0002-strict-spiffe-id.md). An ID without a path is legal here and names the trust domain itself.
 *
 * @throws SpiffeError `invalid-id` naming the broken rule of SPIFFE-ID 2 to 2.3.
 */
export function parseSpiffeId(text: string): SpiffeId {
  if (text === '') throw new SpiffeError('invalid-id', 'cannot be empty');
  if (!text.startsWith(SCHEME)) throw new SpiffeError('invalid-id', 'scheme is missing or invalid');
  if (text.length > MAX_ID_LENGTH) {
    throw new SpiffeError('invalid-id', `SPIFFE ID is longer than ${MAX_ID_LENGTH} bytes`);
  }
  const rest = text.slice(SCHEME.length);
  const slash = rest.indexOf('/');
  const name = slash < 0 ? rest : rest.slice(0, slash);
  if (name === '') throw new SpiffeError('invalid-id', 'trust domain is missing');
  checkName(name, 'invalid-id');
  if (slash >= 0) checkPath(rest.slice(slash), 'invalid-id');
  return text as SpiffeId;
}

/**
 * The ID of `path` in `trustDomain`.
 *
 * @param path empty for the trust domain's own ID, otherwise beginning with `/`
 * @throws SpiffeError `invalid-id`
 */
export function spiffeId(trustDomain: TrustDomain, path: string): SpiffeId {
  if (path !== '' && !path.startsWith('/')) throw new SpiffeError('invalid-id', 'path must have a leading slash');
  return parseSpiffeId(`${SCHEME}${trustDomain}${path}`);
}

/**
 * A path from its segments, none of which may hold a slash; empty without segments.
 *
 * @throws SpiffeError `invalid-id` for a segment that breaks SPIFFE-ID 2.2
 */
export function joinPath(...segments: readonly string[]): string {
  for (const segment of segments) {
    if (segment.includes('/')) throw new SpiffeError('invalid-id', 'path segment contains a slash');
    checkPath(`/${segment}`, 'invalid-id');
  }
  return segments.map((segment) => `/${segment}`).join('');
}

/** The ID of a trust domain itself, `spiffe://example.org`. */
export function trustDomainId(trustDomain: TrustDomain): SpiffeId {
  return `${SCHEME}${trustDomain}` as SpiffeId;
}

/** The trust domain that an ID belongs to. */
export function trustDomainOf(id: SpiffeId): TrustDomain {
  const slash = id.indexOf('/', SCHEME.length);
  return (slash < 0 ? id.slice(SCHEME.length) : id.slice(SCHEME.length, slash)) as TrustDomain;
}

/** The path with its leading `/`, or an empty string for the ID of a trust domain. */
export function pathOf(id: SpiffeId): string {
  const slash = id.indexOf('/', SCHEME.length);
  return slash < 0 ? '' : id.slice(slash);
}

/** Whether an ID belongs to a trust domain. */
export function isMemberOf(id: SpiffeId, trustDomain: TrustDomain): boolean {
  return trustDomainOf(id) === trustDomain;
}
