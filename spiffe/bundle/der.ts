import { SpiffeError } from '../error.ts';
import { parseCertificate, splitCertificates } from '../x509/certificate.ts';
import type { Bundle, X509Authority } from './bundle.ts';

/** The X.509 authorities as DER certificates one after the other, as the Workload API hands them out (5.2). */
export function bundleToDer(bundle: Pick<Bundle, 'x509Authorities'>): Buffer {
  return Buffer.concat(bundle.x509Authorities.map(({ certificate }) => certificate));
}

/**
 * Reads X.509 authorities from DER certificates one after the other. Zero bytes are a bundle that trusts nobody. The
 * authorities share no memory with `ders`.
 *
 * @throws SpiffeError `invalid-certificate` for what is not a sequence of DER values, `invalid-bundle` naming the one that
 *   is not a certificate
 */
export function x509AuthoritiesFromDer(ders: Uint8Array): readonly X509Authority[] {
  const authorities = splitCertificates(Buffer.from(ders)).map((certificate, index): X509Authority => {
    try {
      parseCertificate(certificate);
    } catch (cause) {
      throw new SpiffeError('invalid-bundle', `element ${index + 1} is not a certificate`, { cause });
    }
    return Object.freeze({ certificate, tainted: false });
  });
  return Object.freeze(authorities);
}
