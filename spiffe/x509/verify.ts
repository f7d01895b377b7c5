import { SpiffeError } from '../error.ts';
import { pathOf, type SpiffeId, trustDomainOf } from '../id.ts';
import type { TrustDomain } from '../trust-domain.ts';
import { type Certificate, spiffeIdOf } from './certificate.ts';
import { type CertificateInput, findPath, readChain } from './path.ts';

/** An X509-SVID that was found to be true. */
export interface VerifiedX509Svid {
  readonly id: SpiffeId;
  readonly leaf: Certificate;
  /** From the leaf to the authority that is trusted. */
  readonly path: readonly Certificate[];
}

/** The X.509 authorities of a trust domain, or undefined when there is no bundle for it. */
export type X509Authorities = (trustDomain: TrustDomain) => readonly CertificateInput[] | undefined;

/**
 * Verifies what a peer presents as its X509-SVID (X509-SVID 5): the leaf is one, and it chains up to an authority of its
 * own trust domain, whatever other bundles are at hand.
 *
 * Where the standards leave a choice, docs/decisions/0003-x509-verification.md says which one is made here and why.
 *
 * @param chain the leaf first, then other certificates in any order
 * @param authorities hand out the same Buffers or Certificates again and again: what was read from them is kept with them
 * @param now Unix milliseconds
 * @throws SpiffeError `invalid-x509-svid` when the leaf is not an X509-SVID, `unknown-trust-domain` when there is no
 *   bundle for it, `untrusted-x509-svid` when it does not chain up
 */
export function verifyX509Svid(
  chain: readonly CertificateInput[],
  authorities: X509Authorities,
  now: number,
): VerifiedX509Svid {
  const [leaf, ...others] = readChain(chain);
  const id = checkLeaf(leaf);
  const trustDomain = trustDomainOf(id);
  const roots = authorities(trustDomain);
  if (roots === undefined) {
    throw new SpiffeError('unknown-trust-domain', `no X.509 bundle found for trust domain ${trustDomain}`);
  }
  return { id, leaf, path: findPath(leaf, others, roots, now) };
}

/**
 * The rules of a leaf by itself (X509-SVID 2 to 5.2).
 *
 * @returns its SPIFFE ID
 * @throws SpiffeError `invalid-x509-svid`
 */
export function checkLeaf(leaf: Certificate): SpiffeId {
  const id = spiffeIdOf(leaf);
  refuse(pathOf(id) === '', 'SPIFFE ID of a leaf certificate must have a path');
  refuse(leaf.isCa === true, 'leaf certificate must not have the CA flag set');
  const usage = leaf.keyUsage?.names;
  refuse(usage === undefined, 'leaf certificate must have key usage');
  refuse(usage?.has('keyCertSign') === true, "leaf certificate must not have 'keyCertSign' set as key usage");
  refuse(usage?.has('cRLSign') === true, "leaf certificate must not have 'cRLSign' set as key usage");
  refuse(usage?.has('digitalSignature') !== true, "leaf certificate must have 'digitalSignature' set as key usage");
  return id;
}

function refuse(broken: boolean, problem: string): void {
  if (broken) throw new SpiffeError('invalid-x509-svid', problem);
}

/**
 * Verifies that a certificate of any kind chains up to one of `roots`, such as the CA that an upstream signed for us.
 * Only the rules of paths are checked, not those of X509-SVIDs. A certificate that is itself a root is its own path.
 *
 * @param chain the certificate in question first, then others in any order
 * @param now Unix milliseconds
 * @returns from the certificate in question to the root
 * @throws SpiffeError `invalid-x509-svid` when the chain cannot be read, else `untrusted-x509-svid`
 */
export function verifyChainToRoots(
  chain: readonly CertificateInput[],
  roots: readonly CertificateInput[],
  now: number,
): readonly Certificate[] {
  const [first, ...others] = readChain(chain);
  return findPath(first, others, roots, now, { mayBeRoot: true });
}
