import { SpiffeError } from '../error.ts';
import type { TrustDomain } from '../trust-domain.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { type Bundle, frozenBundle, type JwtAuthority, type X509Authority } from './bundle.ts';

/** A change of a bundle. `bundle` is the old object itself when nothing changed. */
export interface BundleChange {
  readonly bundle: Bundle;
  readonly changed: boolean;
}

/**
 * Adds the authorities that `stored` lacks. An authority with another tainted mark or expiry counts as another. The
 * sequence number grows by one when something was added; hint and sequence number of `added` play no part.
 */
export function mergeBundles(
  stored: Bundle,
  added: { readonly trustDomain: TrustDomain } & Partial<Omit<Bundle, 'trustDomain'>>,
): BundleChange {
  if (stored.trustDomain !== added.trustDomain) {
    throw new SpiffeError('invalid-bundle', 'bundles of two trust domains cannot be merged');
  }
  const x509Authorities = union(stored.x509Authorities, added.x509Authorities, x509Text);
  const jwtAuthorities = union(stored.jwtAuthorities, added.jwtAuthorities, jwtText);
  const witAuthorities = union(stored.witAuthorities, added.witAuthorities, jwtText);
  const changed =
    x509Authorities !== stored.x509Authorities ||
    jwtAuthorities !== stored.jwtAuthorities ||
    witAuthorities !== stored.witAuthorities;
  if (!changed) return { bundle: stored, changed };
  const sequenceNumber = stored.sequenceNumber + 1n;
  const bundle = frozenBundle({ ...stored, x509Authorities, jwtAuthorities, witAuthorities, sequenceNumber });
  return { bundle, changed };
}

/** `known` itself when `added` brings nothing new. */
function union<A>(known: readonly A[], added: readonly A[] | undefined, text: (one: A) => string): readonly A[] {
  if (added === undefined || added.length === 0) return known;
  const seen = new Set(known.map(text));
  const news: A[] = [];
  for (const one of added) {
    const key = text(one);
    if (seen.has(key)) continue;
    seen.add(key);
    news.push(one);
  }
  return news.length === 0 ? known : [...known, ...news];
}

function x509Text({ certificate, tainted }: X509Authority): string {
  return `${tainted} ${certificate.toString('base64')}`;
}

function jwtText({ publicKey, keyId, expiresAt, tainted }: JwtAuthority): string {
  return `${tainted} ${expiresAt} ${publicKey.toString('base64')} ${keyId}`;
}

/** Whether two bundles say the same, tainted marks included; the order of authorities means nothing. */
export function equalBundles(a: Bundle, b: Bundle): boolean {
  return (
    a.trustDomain === b.trustDomain &&
    a.refreshHint === b.refreshHint &&
    a.sequenceNumber === b.sequenceNumber &&
    sameAuthorities(a.x509Authorities, b.x509Authorities, x509Text) &&
    sameAuthorities(a.jwtAuthorities, b.jwtAuthorities, jwtText) &&
    sameAuthorities(a.witAuthorities, b.witAuthorities, jwtText)
  );
}

function sameAuthorities<A>(a: readonly A[], b: readonly A[], text: (one: A) => string): boolean {
  if (a.length !== b.length) return false;
  const texts = a.map(text).sort();
  return b
    .map(text)
    .sort()
    .every((one, index) => one === texts[index]);
}

/** What `pruneBundle` took out. */
export interface PrunedAuthorities {
  readonly x509Authorities: readonly X509Authority[];
  readonly jwtAuthorities: readonly JwtAuthority[];
  readonly witAuthorities: readonly JwtAuthority[];
}

/** A bundle after pruning; `bundle` is the old object itself when nothing was to prune. */
export interface PrunedBundle extends BundleChange {
  readonly removed: PrunedAuthorities;
}

/**
 * Takes out the authorities that expired at or before `expiresBefore`; a JWT or WIT authority without an expiry stays.
 * The sequence number grows by one and, as in the reference, the refresh hint is reset when something was removed.
 *
 * @param expiresBefore Unix seconds
 * @throws SpiffeError `invalid-bundle` when no X.509 authority would be left, or no JWT or WIT authority where there
 * was one: a bundle that trusts nothing is worse than one with expired authorities.
 */
export function pruneBundle(bundle: Bundle, expiresBefore: number): PrunedBundle {
  const expired = ({ expiresAt }: JwtAuthority): boolean => expiresAt !== 0 && expiresAt <= expiresBefore;
  const x509 = split(bundle.x509Authorities, (one) => certificateExpired(one, expiresBefore));
  const jwt = split(bundle.jwtAuthorities, expired);
  const wit = split(bundle.witAuthorities, expired);
  if (x509.kept.length === 0) throw new SpiffeError('invalid-bundle', 'would prune all certificates');
  refuseEmptied(jwt, 'would prune all JWT signing keys');
  refuseEmptied(wit, 'would prune all WIT signing keys');
  const removed = { x509Authorities: x509.removed, jwtAuthorities: jwt.removed, witAuthorities: wit.removed };
  const changed = x509.removed.length + jwt.removed.length + wit.removed.length > 0;
  if (!changed) return { bundle, changed, removed };
  const pruned = frozenBundle({
    trustDomain: bundle.trustDomain,
    x509Authorities: x509.kept,
    jwtAuthorities: jwt.kept,
    witAuthorities: wit.kept,
    refreshHint: 0,
    sequenceNumber: bundle.sequenceNumber + 1n,
  });
  return { bundle: pruned, changed, removed };
}

interface Split<A> {
  readonly kept: readonly A[];
  readonly removed: readonly A[];
}

function split<A>(all: readonly A[], isRemoved: (one: A) => boolean): Split<A> {
  const kept: A[] = [];
  const removed: A[] = [];
  for (const one of all) (isRemoved(one) ? removed : kept).push(one);
  return { kept, removed };
}

function refuseEmptied({ kept, removed }: Split<unknown>, message: string): void {
  if (kept.length === 0 && removed.length > 0) throw new SpiffeError('invalid-bundle', message);
}

function certificateExpired({ certificate }: X509Authority, expiresBefore: number): boolean {
  return parseCertificate(certificate).notAfter <= expiresBefore * 1000;
}
