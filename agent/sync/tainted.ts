import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { type Certificate, isSignedBy, parseCertificate } from '../../spiffe/x509/certificate.ts';

/**
 * A test of whether a chain (DER, leaf first) was signed under an authority that the bundle calls tainted: SVIDs under it
 * are replaced at once, although they still verify.
 */
export function taintTest(bundle: Bundle): (chain: readonly Buffer[]) => boolean {
  const tainted = bundle.x509Authorities.filter((one) => one.tainted).map((one) => parseCertificate(one.certificate));
  if (tainted.length === 0) return () => false;
  return (chain) => {
    const certificates = chain.map(parseCertificate);
    return tainted.some((root) => certificates.some((one) => one.der.equals(root.der) || isUnder(one, root)));
  };
}

/** The names tell most certificates apart; verifying the signature of each would hold up an agent with many. */
function isUnder(one: Certificate, root: Certificate): boolean {
  const { authorityKeyId: named } = one;
  if (!one.issuer.equals(root.subject)) return false;
  if (named !== undefined && root.subjectKeyId !== undefined && !named.equals(root.subjectKeyId)) return false;
  return isSignedBy(one, root);
}
