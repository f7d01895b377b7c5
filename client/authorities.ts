import { FinialError, messageOf } from '../common/errors.ts';
import { jwtAuthoritiesFromJwks } from '../spiffe/bundle/json.ts';
import type { JwtAuthority } from '../spiffe/bundle/bundle.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe/trust-domain.ts';
import { parseCertificate, splitCertificates } from '../spiffe/x509/certificate.ts';

/** The most trust domains in one message of the agent. */
const MAX_BUNDLES = 1000;
/** The most authorities in one bundle; a rotating trust domain has two or three. */
const MAX_AUTHORITIES = 1000;

/**
 * The map of bundles in a message of the Workload API. Keys are IDs of trust domains; bare names are understood too.
 *
 * @param read what the bytes or text of one bundle mean
 * @throws FinialError or SpiffeError that names the trust domain whose bundle is malformed
 */
export function readBundles<Raw, Bundle>(
  raw: Readonly<Record<string, Raw>>,
  read: (raw: Raw) => Bundle,
): Map<TrustDomain, Bundle> {
  const entries = Object.entries(raw);
  if (entries.length > MAX_BUNDLES) throw malformed(`more than ${MAX_BUNDLES} bundles`);
  const bundles = new Map<TrustDomain, Bundle>();
  for (const [key, value] of entries) {
    const trustDomain = parseTrustDomain(key);
    // `td` and `spiffe://td` in one message: nobody could say which of the two holds.
    if (bundles.has(trustDomain)) throw malformed(`two bundles of ${trustDomain}`);
    try {
      bundles.set(trustDomain, read(value));
    } catch (error) {
      throw malformed(`bundle of ${trustDomain}: ${messageOf(error)}`, error);
    }
  }
  return bundles;
}

/** `readBundles` of a map that must not be empty (SPIFFE Workload API 4.5): the own trust domain is always in it. */
export function readMandatoryBundles<Raw, Bundle>(
  raw: Readonly<Record<string, Raw>>,
  read: (raw: Raw) => Bundle,
): Map<TrustDomain, Bundle> {
  const bundles = readBundles(raw, read);
  if (bundles.size === 0) throw malformed('bundles is empty');
  return bundles;
}

/**
 * Concatenated DER certificates of one trust domain. None at all is a bundle that trusts nobody. A certificate that
 * cannot be read anchors nothing and is left out: one odd authority of a federated domain must not keep this process
 * from its own identity.
 *
 * @throws SpiffeError `invalid-certificate` for what is not a sequence of DER values, such as PEM or trailing bytes
 */
export function readX509Authorities(ders: Buffer): readonly Buffer[] {
  const certificates = splitCertificates(ders);
  if (certificates.length > MAX_AUTHORITIES) throw malformed(`more than ${MAX_AUTHORITIES} authorities`);
  return Object.freeze(certificates.filter(isReadable));
}

function isReadable(der: Buffer): boolean {
  try {
    parseCertificate(der);
    return true;
  } catch (error) {
    if (error instanceof SpiffeError) return false;
    throw error;
  }
}

/**
 * The JWK Set of one trust domain. Entries for other uses and of unknown kinds are passed over. No bytes at all are, as
 * for certificates, a bundle that trusts nobody.
 *
 * @throws SpiffeError `invalid-bundle`
 */
export function readJwtAuthorities(jwks: Buffer | string): readonly JwtAuthority[] {
  return Object.freeze(jwks.length === 0 ? [] : jwtAuthoritiesFromJwks(jwks));
}

/** An answer of the agent that breaks the standard. It is discarded as a whole; what was before stays in force. */
export function malformed(problem: string, cause?: unknown): FinialError {
  return new FinialError('data-loss', `malformed answer of the Workload API: ${problem}`, { cause });
}
