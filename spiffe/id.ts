import { SpiffeError } from './error.ts';
import {
  checkName,
  checkPath,
  MAX_ID_LENGTH,
  type ReadOptions,
  SCHEME,
  type TrustDomain,
  withLowerCaseAuthority,
} from './trust-domain.ts';

declare const brand: unique symbol;

/**
 * A SPIFFE ID in its one canonical spelling, such as `spiffe://example.org/ns/a/sa/b`. It cannot be made invalid: only
 * the functions here produce one. IDs are equal when the strings are equal, so an ID is a fit key of a Map or Set. It is
 * its own text and JSON form; what comes back is read by `parseSpiffeId`. No ID is `undefined`, never an empty string.
 */
export type SpiffeId = string & { readonly [brand]: 'spiffe-id' };

/** How an ID is read. */
export interface SpiffeIdOptions extends ReadOptions {
  /**
   * The most bytes that an ID may have; 2048 by default. SPIFFE-ID 2.3 wants that many read and no more written, and
   * leaves it open whether to read more. The functions that build IDs know no such option.
   */
  readonly maxLength?: number;
}

/**
 * Reads a SPIFFE ID. Strict: lower-case scheme and trust domain only (SPIFFE-ID 2.1) unless `normalize` is set (2.4; see
 * docs/decisions/0002-strict-spiffe-id.md). An ID without a path is legal here and names the trust domain itself.
 *
 * @throws SpiffeError `invalid-id` naming the broken rule of SPIFFE-ID 2 to 2.3
 * @throws TypeError for anything but a string
 */
export function parseSpiffeId(text: string, options: SpiffeIdOptions = {}): SpiffeId {
  if (typeof text !== 'string') throw new TypeError('a SPIFFE ID is read from a string');
  const { normalize = false, maxLength = MAX_ID_LENGTH } = options;
  if (text === '') throw new SpiffeError('invalid-id', 'cannot be empty');
  const id = normalize ? withLowerCaseAuthority(text) : text;
  if (!id.startsWith(SCHEME)) throw new SpiffeError('invalid-id', 'scheme is missing or invalid');
  if (id.length > maxLength) throw new SpiffeError('invalid-id', `SPIFFE ID is longer than ${maxLength} bytes`);
  const slash = id.indexOf('/', SCHEME.length);
  const name = slash < 0 ? id.slice(SCHEME.length) : id.slice(SCHEME.length, slash);
  if (name === '') throw new SpiffeError('invalid-id', 'trust domain is missing');
  checkName(name, 'invalid-id');
  if (slash >= 0) checkPath(id.slice(slash), 'invalid-id');
  return id as SpiffeId;
}

/** Whether a value is a SPIFFE ID as it stands: a string that `parseSpiffeId` takes without options. */
export function isSpiffeId(value: unknown): value is SpiffeId {
  try {
    return typeof value === 'string' && parseSpiffeId(value) === value;
  } catch (error) {
    if (error instanceof SpiffeError) return false;
    throw error;
  }
}

/**
 * The ID of `path` in `trustDomain`.
 *
 * @param path empty for the trust domain's own ID, otherwise beginning with `/`
 * @throws SpiffeError `invalid-id`, also for an ID of more than 2048 bytes (SPIFFE-ID 2.3)
 */
export function spiffeId(trustDomain: TrustDomain, path: string): SpiffeId {
  if (path !== '' && !path.startsWith('/')) throw new SpiffeError('invalid-id', 'path must have a leading slash');
  return parseSpiffeId(`${SCHEME}${trustDomain}${path}`);
}

/**
 * The ID with these path segments in `trustDomain`; the trust domain's own ID without any.
 *
 * @throws SpiffeError `invalid-id`
 */
export function spiffeIdOfSegments(trustDomain: TrustDomain, ...segments: readonly string[]): SpiffeId {
  return spiffeId(trustDomain, joinPath(...segments));
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

/**
 * A path from a template, ``formatPath`/ns/${namespace}/sa/${account}` ``. The template alone says where segments begin
 * and end: a value that holds a slash is refused, so no value can name another workload than the template means.
 *
 * @throws SpiffeError `invalid-id` for a value with a slash, and for a path that breaks SPIFFE-ID 2.2
 */
export function formatPath(template: TemplateStringsArray, ...values: readonly (string | number | bigint)[]): string {
  const texts = values.map(String);
  if (texts.some((text) => text.includes('/'))) throw new SpiffeError('invalid-id', 'path segment contains a slash');
  const path = String.raw({ raw: template }, ...texts);
  if (!path.startsWith('/')) throw new SpiffeError('invalid-id', 'path must have a leading slash');
  checkPath(path, 'invalid-id');
  return path;
}

/**
 * An ID below another: `path` follows the path of `id`.
 *
 * @param path empty, or beginning with `/`
 * @throws SpiffeError `invalid-id`
 */
export function appendPath(id: SpiffeId, path: string): SpiffeId {
  // Checked by itself: behind a path that ends in a segment, `x` would silently lengthen that segment.
  return replacePath(id, `${pathOf(id)}${pathOf(spiffeId(trustDomainOf(id), path))}`);
}

/** `appendPath` with the path of these segments. @throws SpiffeError `invalid-id` */
export function appendSegments(id: SpiffeId, ...segments: readonly string[]): SpiffeId {
  return appendPath(id, joinPath(...segments));
}

/**
 * The ID of another path in the same trust domain.
 *
 * @param path empty for the trust domain's own ID, otherwise beginning with `/`
 * @throws SpiffeError `invalid-id`
 */
export function replacePath(id: SpiffeId, path: string): SpiffeId {
  return spiffeId(trustDomainOf(id), path);
}

/** `replacePath` with the path of these segments. @throws SpiffeError `invalid-id` */
export function replaceSegments(id: SpiffeId, ...segments: readonly string[]): SpiffeId {
  return replacePath(id, joinPath(...segments));
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

/** The segments of the path; none for the ID of a trust domain. */
export function segmentsOf(id: SpiffeId): readonly string[] {
  return pathOf(id).split('/').slice(1);
}

/** Whether an ID belongs to a trust domain. A trust domain is a name as a whole: `b` has no part in `a.b`. */
export function isMemberOf(id: SpiffeId, trustDomain: TrustDomain): boolean {
  return trustDomainOf(id) === trustDomain;
}
