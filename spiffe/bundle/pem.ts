import { SpiffeError } from '../error.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { certificatesFromPem, certificatesToPem } from '../x509/pem.ts';
import type { Bundle, X509Authority } from './bundle.ts';

/** The X.509 authorities as PEM, one block each, in their order; empty text when there are none. */
export function bundleToPem(bundle: Pick<Bundle, 'x509Authorities'>): string {
  return certificatesToPem(bundle.x509Authorities.map(({ certificate }) => certificate));
}

/** What differs between the places where a bundle is read from PEM. */
export interface PemOptions {
  /**
   * Reads an empty text, or one of white space, as a bundle that trusts nobody. Off by default, as for a file by which an
   * operator says whom to trust that is always a mistake.
   */
  readonly allowEmpty?: boolean;
}

/**
 * Reads X.509 authorities from PEM, as in a file that an operator hands to an agent.
 *
 * @throws SpiffeError `invalid-pem`, also for a text without any block, or `invalid-bundle` naming the block that is not
 *   a certificate
 */
export function x509AuthoritiesFromPem(
  text: string,
  { allowEmpty = false }: PemOptions = {},
): readonly X509Authority[] {
  if (allowEmpty && text.trim() === '') return Object.freeze([]);
  const authorities = certificatesFromPem(text).map((certificate, index): X509Authority => {
    try {
      parseCertificate(certificate);
    } catch (cause) {
      throw new SpiffeError('invalid-bundle', `PEM block ${index + 1} is not a certificate`, { cause });
    }
    return Object.freeze({ certificate, tainted: false });
  });
  return Object.freeze(authorities);
}
