import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { isSignedBy, parseCertificate } from '../../spiffe/x509/certificate.ts';

/**
 * A test of whether a chain (DER, leaf first) was signed under an authority that the bundle calls tainted: SVIDs under it
 * are replaced at once, although they still verify.
 */
export function taintTest(bundle: Bundle): (chain: readonly Buffer[]) => boolean {
  const tainted = bundle.x509Authorities.filter((one) => one.tainted).map((one) => parseCertificate(one.certificate));
  if (tainted.length === 0) return () => false;
  return (chain) => {
    const certificates = chain.map(parseCertificate);
    return tainted.some((root) => certificates.some((one) => one.der.equals(root.der) || isSignedBy(one, root)));
  };
}
