import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { certificatesToPem, encodePem } from '../../spiffe/x509/pem.ts';
import type { X509Svid } from '../source.ts';

/** Mozilla's "intermediate" list (SPIFFE Federation 5 asks for it; there is no reason to take less elsewhere). */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** What is presented to the other end. */
export interface Certificate {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

/**
 * What every context of ours has. No tickets and no renegotiation: a resumed session would carry no chain to verify, and
 * would outlive the bundle that vouched for its peer.
 */
export function contextOptions(certificate: Certificate | undefined): SecureContextOptions {
  return {
    ...certificate,
    minVersion: 'TLSv1.2',
    ciphers: CIPHERS,
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}

const certificates = new WeakMap<X509Svid, Certificate>();

/** An X509-SVID as TLS wants it; converted once for each. */
export function certificateOf(svid: X509Svid): Certificate {
  const known = certificates.get(svid);
  if (known !== undefined) return known;
  const key = svid.privateKey.export({ type: 'pkcs8', format: 'pem' });
  const made = { cert: certificatesToPem(svid.chain), key };
  certificates.set(svid, made);
  return made;
}

/** The context of one client connection: what it presents, and the roots that OpenSSL checks the server against. */
export function clientContext(svid: X509Svid | undefined, roots: readonly Buffer[]): SecureContext {
  return createSecureContext({
    ...contextOptions(svid === undefined ? undefined : certificateOf(svid)),
    // A list, since Node takes an empty text for "the public roots".
    ca: roots.map((der) => encodePem('CERTIFICATE', der)),
    // X509-SVID 6.1: an authority need not be self-signed.
    allowPartialTrustChain: true,
  });
}
