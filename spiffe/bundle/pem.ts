import { SpiffeError } from '../error.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { certificatesFromPem, certificatesToPem } from '../x509/pem.ts';
import type { Bundle, X509Authority } from './bundle.ts';

/** The X.509 authorities as PEM, one block each, in their order; empty text when there are none. */
export function bundleToPem(bundle: Pick<Bundle, 'x509Authorities'>): string {
  return certificatesToPem(bundle.x509Authorities.map(({ certificate }) => certificate));
}

/**
 * Reads X.509 authorities from PEM, as in a file that an operator hands to an agent. A text without any is refused, as
 * a bundle that trusts nobody is here always a mistake.
 *
 * @throws SpiffeError `invalid-pem`, or `invalid-bundle` naming the block that is not a certificate
 */
export function x509AuthoritiesFromPem(text: string): readonly X509Authority[] {
  return certificatesFromPem(text).map((certificate, index) => {
    try {
      parseCertificate(certificate);
    } catch (cause) {
      throw new SpiffeError('invalid-bundle', `PEM block ${index + 1} is not a certificate`, { cause });
    }
    return { certificate, tainted: false };
  });
}
