import { SpiffeError } from '../error.ts';
import { type Certificate, isSignedBy, keyOf, parseCertificate } from './certificate.ts';
import { brokenNameConstraint, type ComparisonBudget } from './name-constraints.ts';
import { checkStrength, parsePublicKey } from './public-key.ts';

/** The most certificates that a peer may send. Real chains have two to four. */
const MAX_CHAIN_LENGTH = 16;

/**
 * The most signatures that are checked for one chain, whatever a peer makes of cross-signed and same-named CAs. Real
 * chains need as many as they have links; the slowest kind of signature takes about half a millisecond of this thread.
 */
const MAX_SIGNATURE_CHECKS = 32;

/** The most comparisons of a name with a name constraint, for one chain: a few milliseconds of this thread. */
const MAX_NAME_COMPARISONS = 65_536;

/** DER, or what was parsed from it already; parsed authorities keep their imported keys. */
export type CertificateInput = Buffer | Certificate;

/**
 * Reads the chain that a peer sent.
 *
 * @throws SpiffeError `invalid-x509-svid` when it is empty, too long, or holds anything but certificates
 */
export function readChain(chain: readonly CertificateInput[]): [leaf: Certificate, ...others: Certificate[]] {
  if (chain.length > MAX_CHAIN_LENGTH) {
    throw new SpiffeError('invalid-x509-svid', `chain has more than ${MAX_CHAIN_LENGTH} certificates`);
  }
  const [leaf, ...others] = chain.map((input) => {
    try {
      return Buffer.isBuffer(input) ? parseCertificate(input) : input;
    } catch (error) {
      if (!(error instanceof SpiffeError)) throw error;
      throw new SpiffeError('invalid-x509-svid', error.message, { cause: error });
    }
  });
  if (leaf === undefined) throw new SpiffeError('invalid-x509-svid', 'empty certificates chain');
  return [leaf, ...others];
}

/** The state of one search. */
interface Search extends ComparisonBudget {
  readonly anchors: readonly Certificate[];
  readonly others: readonly Certificate[];
  readonly now: number;
  checksLeft: number;
  /** Why the most promising candidate was refused. */
  problem: string | undefined;
}

/**
 * Finds a chain of signatures from the first certificate to one of the roots, where every certificate above the first
 * may sign the one below it. The others may come in any order, more than once, or not belong at all.
 *
 * Per RFC 5280 6.1, with these choices (docs/decisions/0003-x509-verification.md): roots are judged like any other CA,
 * validity included; a root need not be self-signed; names are compared byte by byte; every CA certificate in between
 * counts for the path length; name constraints of roots count like those of intermediates.
 *
 * @param now Unix milliseconds
 * @param options.mayBeRoot a first certificate that is one of the roots is a path of its own
 * @returns from the first certificate to the root
 * @throws SpiffeError `untrusted-x509-svid`
 */
export function findPath(
  leaf: Certificate,
  others: readonly Certificate[],
  roots: readonly CertificateInput[],
  now: number,
  options: { readonly mayBeRoot?: boolean } = {},
): Certificate[] {
  const { anchors, unreadable } = readAnchors(roots);
  const search: Search = {
    anchors,
    others: withoutDoubles(others),
    now,
    checksLeft: MAX_SIGNATURE_CHECKS,
    comparisonsLeft: MAX_NAME_COMPARISONS,
    problem: undefined,
  };
  const broken = brokenRule(leaf, now) ?? brokenKey(leaf, keyOf);
  if (broken !== undefined) throw new SpiffeError('untrusted-x509-svid', `certificate ${broken}`);
  if (options.mayBeRoot === true && anchors.some((anchor) => anchor.der.equals(leaf.der))) return [leaf];
  const path = extend([leaf], search);
  if (path !== undefined) return path;
  const detail = [search.problem, unreadable].filter((part) => part !== undefined).join('; ');
  throw new SpiffeError(
    'untrusted-x509-svid',
    `certificate signed by unknown authority${detail === '' ? '' : ` (${detail})`}`,
  );
}

/** A certificate that was sent twice is worth one try. */
function withoutDoubles(certificates: readonly Certificate[]): readonly Certificate[] {
  return certificates.filter((one, at) => certificates.findIndex((other) => other.der.equals(one.der)) === at);
}

/**
 * Authorities that cannot be read cannot be anybody's issuer, and must not take the readable ones down with them; if no
 * path is found, they are mentioned.
 */
function readAnchors(roots: readonly CertificateInput[]): { anchors: Certificate[]; unreadable: string | undefined } {
  const anchors: Certificate[] = [];
  let unreadable: string | undefined;
  for (const root of roots) {
    try {
      anchors.push(Buffer.isBuffer(root) ? parsedAnchor(root) : root);
    } catch (error) {
      if (!(error instanceof SpiffeError)) throw error;
      unreadable = `an authority cannot be read: ${error.message}`;
    }
  }
  return { anchors, unreadable };
}

/**
 * Authorities as parsed, by the Buffer that holds them. They come again with every peer, and the key that was imported
 * from one is kept with its Certificate. An entry lives as long as its Buffer, which nobody writes to.
 */
const anchorCache = new WeakMap<Buffer, Certificate>();

function parsedAnchor(der: Buffer): Certificate {
  const known = anchorCache.get(der);
  if (known !== undefined) return known;
  const certificate = parseCertificate(der);
  anchorCache.set(der, certificate);
  return certificate;
}

/** Depth first: the roots before what the peer sent, those whose key identifier fits before the rest. */
function extend(path: readonly [Certificate, ...Certificate[]], search: Search): Certificate[] | undefined {
  const last = path.at(-1) ?? path[0];
  for (const anchor of candidates(last, search.anchors)) {
    if (maySign(path, last, anchor, true, search)) return [...path, anchor];
  }
  if (path.length > search.others.length) return undefined;
  for (const other of candidates(last, search.others)) {
    // A certificate that is in the path already leads in a circle.
    if (path.some((one) => one.der.equals(other.der)) || !maySign(path, last, other, false, search)) continue;
    const found = extend([...path, other], search);
    if (found !== undefined) return found;
  }
  return undefined;
}

function candidates(child: Certificate, pool: readonly Certificate[]): Certificate[] {
  const { authorityKeyId } = child;
  const named = pool.filter((one) => one.subject.equals(child.issuer));
  if (authorityKeyId === undefined || named.length < 2) return named;
  const fits = (one: Certificate): boolean => one.subjectKeyId?.equals(authorityKeyId) === true;
  return [...named.filter(fits), ...named.filter((one) => !fits(one))];
}

function maySign(
  path: readonly Certificate[],
  child: Certificate,
  issuer: Certificate,
  isAnchor: boolean,
  search: Search,
): boolean {
  const broken = brokenRule(issuer, search.now) ?? brokenCaRule(issuer, path.length - 1, isAnchor);
  if (broken !== undefined) {
    search.problem ??= `issuer ${broken}`;
    return false;
  }
  if (search.checksLeft === 0) {
    search.problem = 'too many candidates to check';
    return false;
  }
  search.checksLeft -= 1;
  if (!isSignedBy(child, issuer)) {
    search.problem ??= child.signatureAlgorithm === undefined ? 'unsupported signature algorithm' : 'wrong signature';
    return false;
  }
  const outside = brokenLimit(path, issuer, search);
  // Whoever made a right signature is more promising than those who did not.
  search.problem = outside ?? search.problem;
  return outside === undefined;
}

/**
 * What the name constraints of an issuer have against the names below it, or undefined. They hold for the first
 * certificate and for those in between, but for the ones that a CA issued to itself (RFC 5280 6.1.3 (b), (c)).
 */
function brokenLimit(path: readonly Certificate[], issuer: Certificate, search: Search): string | undefined {
  const { nameConstraints } = issuer;
  if (nameConstraints === undefined) return undefined;
  for (const [at, one] of path.entries()) {
    if (at > 0 && one.subject.equals(one.issuer)) continue;
    const broken = brokenNameConstraint(nameConstraints, one, search);
    if (broken !== undefined) return broken;
  }
  return undefined;
}

/** What is wrong with a certificate anywhere in a path, or undefined. */
function brokenRule(certificate: Certificate, now: number): string | undefined {
  if (now < certificate.notBefore) return 'is not valid yet';
  if (now > certificate.notAfter) return 'has expired';
  const [unknown] = certificate.unknownCritical;
  if (unknown !== undefined) return `has an unknown critical extension (${unknown})`;
  return brokenKey(certificate, ({ publicKey }) => checkStrength(parsePublicKey(publicKey)));
}

/** What `check` finds wrong with the key of a certificate, or undefined. */
function brokenKey(certificate: Certificate, check: (certificate: Certificate) => unknown): string | undefined {
  try {
    check(certificate);
    return undefined;
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    return `has an unacceptable key: ${error.message}`;
  }
}

/** What forbids this certificate to sign another with `below` CA certificates in between, or undefined. */
function brokenCaRule(issuer: Certificate, below: number, isAnchor: boolean): string | undefined {
  if (issuer.isCa !== true) return 'is not a CA';
  if (issuer.pathLength !== undefined && below > issuer.pathLength) return 'allows no chain of this length';
  // X509-SVID 4.3 demands key usage of all signing certificates; roots that somebody chose to trust are often without.
  if (issuer.keyUsage === undefined) return isAnchor ? undefined : 'has no key usage';
  return issuer.keyUsage.names.has('keyCertSign') ? undefined : 'may not sign certificates';
}
