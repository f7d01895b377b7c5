import { SpiffeError } from '../error.ts';
import type { Bundle } from './bundle.ts';
import { equalBundles } from './change.ts';
import type { ReadBundle } from './json.ts';

/** What a fetched bundle means for the one that is held. */
export interface BundleRefresh {
  /** The one to hold from now on; the held object itself unless `outcome` is `updated`. */
  readonly bundle: Bundle;
  /** `stale` when the fetched one has a smaller sequence number than the held one: it is older and is to be logged. */
  readonly outcome: 'updated' | 'unchanged' | 'stale';
}

/**
 * Decides which of two bundles of one trust domain is newer: the one with the larger `spiffe_sequence` (Federation 4.2).
 * Where one of them has none, or both have the same, the one fetched last is taken to be newer, as the standard says of
 * bundles without a number.
 *
 * @param held undefined when there is none, or when the held one was set by an operator, which counts until the next
 *   refresh whatever its number (Federation 4.2)
 * @throws SpiffeError `invalid-bundle` when the bundles are of two trust domains: bundles are never merged
 */
export function refreshBundle(
  held: Bundle | undefined,
  fetched: Pick<ReadBundle, 'bundle' | 'hasSequenceNumber'>,
): BundleRefresh {
  const { bundle } = fetched;
  if (held === undefined) return { bundle, outcome: 'updated' };
  if (held.trustDomain !== bundle.trustDomain) {
    throw new SpiffeError('invalid-bundle', 'a bundle cannot replace that of another trust domain');
  }
  // A held bundle without a number says 0, which nothing is smaller than.
  if (fetched.hasSequenceNumber && bundle.sequenceNumber < held.sequenceNumber)
    return { bundle: held, outcome: 'stale' };
  return equalBundles(held, bundle) ? { bundle: held, outcome: 'unchanged' } : { bundle, outcome: 'updated' };
}

/** How often a bundle may be polled; all in seconds. */
export interface PollLimits {
  readonly least: number;
  readonly most: number;
}

/** The reference polls no faster than once a minute. After a day nobody would remember that a key was revoked. */
const POLL_LIMITS: PollLimits = { least: 60, most: 86_400 };

/** Trust Domain and Bundle 6.1: relatively low where the bundle gives no hint. */
const DEFAULT_POLL = 300;

/**
 * How long to wait before a bundle is fetched again: as its refresh hint advises (Trust Domain and Bundle 4.1.2), within
 * limits, as nobody else's document may make this process flood a server or sleep for years.
 *
 * @param read with `hasRefreshHint` false it is 300 s; a hint of 0 is a hint, and becomes the least
 * @returns seconds
 */
export function pollInterval(
  read: Pick<ReadBundle, 'hasRefreshHint'> & { readonly bundle: Pick<Bundle, 'refreshHint'> },
  { least, most }: PollLimits = POLL_LIMITS,
): number {
  const wanted = read.hasRefreshHint ? read.bundle.refreshHint : DEFAULT_POLL;
  return Math.min(Math.max(wanted, least), most);
}
