import { FinialError } from '../../../common/errors.ts';
import { trustDomainId } from '../../../spiffe/id.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { type CertificateRequest, parseCsr, verifyCsrSignature } from '../../../spiffe/x509/csr.ts';
import { signCertificate, upstreamSignedCaTemplate } from '../../../spiffe/x509/profile.ts';
import { newSerialNumber } from '../../../spiffe/x509/serial-number.ts';
import type { UpstreamCa } from './files.ts';

/** What is to be signed, and with what. */
export interface CaRequest {
  /** DER of the PKCS#10 request. */
  readonly csr: Buffer;
  readonly ca: UpstreamCa;
  /** Seconds; an hour when 0. */
  readonly preferredTtl: number;
  readonly trustDomain: TrustDomain;
  /** Unix milliseconds. */
  readonly now: number;
  readonly random: (size: number) => Buffer;
}

const DEFAULT_TTL_MS = 3_600_000;

/**
 * Signs the request for the CA of a trust domain: subject and URI are the request's, the lifetime ends with the CA's.
 *
 * @returns DER
 * @throws FinialError, SpiffeError when the request is not one for a CA of this trust domain, or not its maker's
 */
export async function signCaRequest(request: CaRequest): Promise<Buffer> {
  const { ca, now, preferredTtl, random } = request;
  const csr = await checkedCsr(request);
  const template = upstreamSignedCaTemplate({
    serialNumber: newSerialNumber(random),
    now,
    ttlMs: preferredTtl > 0 ? preferredTtl * 1000 : DEFAULT_TTL_MS,
    publicKey: csr.publicKey,
    subject: csr.subject,
    uris: csr.uris,
    issuer: ca.certificate,
  });
  const { subject, subjectKeyId } = ca.certificate;
  return signCertificate(template, { signer: ca.signer, subject, subjectKeyId });
}

async function checkedCsr({ csr, trustDomain }: CaRequest): Promise<CertificateRequest> {
  const request = parseCsr(csr);
  if (!(await verifyCsrSignature(request))) throw new FinialError('invalid-argument', 'CSR signature check failed');
  if (request.uris.length !== 1) throw new FinialError('invalid-argument', 'CSR must have exactly one URI SAN');
  if (request.uris[0] !== trustDomainId(trustDomain)) {
    throw new FinialError('invalid-argument', `CSR must use the ID of trust domain "${trustDomain}"`);
  }
  return request;
}
