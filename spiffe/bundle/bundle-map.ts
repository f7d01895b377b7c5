import { SpiffeError } from '../error.ts';
import { isJsonObject, type JsonLimits } from '../json.ts';
import { checkName, type TrustDomain } from '../trust-domain.ts';
import { type Bundle, frozenBundle } from './bundle.ts';
import { type BundleSet, bundleSet } from './bundle-set.ts';
import { bundleToSpiffeJson, readBundleObject, readDocument, type SkippedKey, type SpiffeJsonOptions } from './json.ts';

/** Room for a thousand trust domains with several RSA certificates each. */
const LIMITS: JsonLimits = { maxLength: 16 * 1024 * 1024, maxDepth: 18 };
const MAX_TRUST_DOMAINS = 1000;

/** A key of one of the bundles that was passed over. */
export interface SkippedMapKey extends SkippedKey {
  readonly trustDomain: TrustDomain;
}

/** A SPIFFE Bundle Map as read. */
export interface ReadBundleMap {
  /**
   * All of it or nothing: what held this set before is to be replaced by it, so that a trust domain which is no longer
   * there is no longer trusted. The bundles have no refresh hints: those of members say nothing about the map.
   */
  readonly bundles: BundleSet;
  readonly skipped: readonly SkippedMapKey[];
}

/**
 * Reads a SPIFFE Bundle Map (Trust Domain and Bundle 5). A map with one malformed bundle is refused as a whole.
 *
 * @param input text or UTF-8 bytes
 * @throws SpiffeError `invalid-bundle` naming the trust domain, where it is one bundle that is malformed
 */
export function readBundleMap(input: string | Uint8Array): ReadBundleMap {
  // Repeated names are refused here, whichever way they are escaped (5.1.1, 6.3).
  const { trust_domains: members } = readDocument(input, LIMITS);
  if (!isJsonObject(members)) throw invalid('"trust_domains" is missing or not an object');
  const entries = Object.entries(members);
  if (entries.length > MAX_TRUST_DOMAINS) throw invalid(`more than ${MAX_TRUST_DOMAINS} trust domains`);
  const skipped: SkippedMapKey[] = [];
  const bundles = entries.map(([name, value]) => {
    const trustDomain = nameOf(name);
    const read = inMember(trustDomain, () => {
      if (!isJsonObject(value)) throw invalid('not a JSON object');
      return readBundleObject(value, trustDomain);
    });
    skipped.push(...read.skipped.map((key) => ({ trustDomain, ...key })));
    return frozenBundle({ ...read.bundle, refreshHint: 0 });
  });
  return { bundles: bundleSet(...bundles), skipped };
}

/** Only names are keys of a map, no IDs (5.1.1). */
function nameOf(name: string): TrustDomain {
  try {
    return checkName(name, 'invalid-trust-domain');
  } catch (cause) {
    throw cause instanceof SpiffeError ? invalid(`a key of "trust_domains": ${cause.message}`, cause) : cause;
  }
}

function inMember<T>(trustDomain: TrustDomain, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof SpiffeError)) throw cause;
    throw new SpiffeError('invalid-bundle', `bundle of ${trustDomain}: ${cause.message}`, { cause });
  }
}

/**
 * Writes a SPIFFE Bundle Map, ordered by name so that equal sets give equal text, without refresh hints (5.1.1).
 *
 * @throws SpiffeError `invalid-bundle` when two bundles are of one trust domain or one cannot be written
 */
export function bundleMapToJson(bundles: Iterable<Bundle>, options: Pick<SpiffeJsonOptions, 'wit'> = {}): string {
  const members = Array.from(bundleSet(...bundles).values())
    .sort((a, b) => (a.trustDomain < b.trustDomain ? -1 : 1))
    .map((bundle) => {
      const text = inMember(bundle.trustDomain, () => bundleToSpiffeJson(bundle, { ...options, refreshHint: 0 }));
      // A line break in this text is never part of a string, where it would be escaped.
      return `\n        "${bundle.trustDomain}": ${text.replaceAll('\n', '\n        ')}`;
    });
  const inner = members.length === 0 ? '{}' : `{${members.join(',')}\n    }`;
  return `{\n    "trust_domains": ${inner}\n}`;
}

function invalid(reason: string, cause?: unknown): SpiffeError {
  return new SpiffeError('invalid-bundle', `bundle map is malformed: ${reason}`, { cause });
}
