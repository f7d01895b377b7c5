import { FinialError } from '../../../common/errors.ts';
import type { Logger } from '../../../common/log/logger.ts';
import { parseSpiffeId, type SpiffeId } from '../../../spiffe/id.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { type CertificateRequest, parseCsr, verifyCsrSignature } from '../../../spiffe/x509/csr.ts';
import { requireWorkload } from '../../entries/id-rules.ts';
import { checkDnsName, checkWildcardOverlap } from '../../entries/validate.ts';
import { readOrRefuse, refuse } from '../refuse.ts';

/**
 * Reads a request and checks that whoever made it holds the key.
 *
 * @param badSignature what the caller is told when the signature is wrong
 */
export async function verifiedCsr(der: Buffer, badSignature: string, log: Logger): Promise<CertificateRequest> {
  const csr = readOrRefuse(log, 'malformed CSR', () => parseCsr(der));
  const verified = await verifyCsrSignature(csr).catch((error: unknown) => {
    throw refuse(log, 'invalid-argument', badSignature, error);
  });
  if (verified) return csr;
  const why = new FinialError('invalid-argument', 'the signature is not by the key of the request');
  throw refuse(log, 'invalid-argument', badSignature, why);
}

/** The one workload ID that a request names. */
export function requestedId(csr: CertificateRequest, trustDomain: TrustDomain, log: Logger): SpiffeId {
  const [uri] = csr.uris;
  if (uri === undefined) throw refuse(log, 'invalid-argument', 'CSR URI SAN is required');
  if (csr.uris.length > 1) throw refuse(log, 'invalid-argument', 'only one URI SAN is expected');
  return readOrRefuse(log, 'CSR URI SAN is invalid', () => {
    const id = parseSpiffeId(uri);
    requireWorkload(id, trustDomain);
    return id;
  });
}

/** The DNS names that a request asks for. */
export function requestedDnsNames({ dnsNames }: CertificateRequest, log: Logger): readonly string[] {
  for (const name of dnsNames) readOrRefuse(log, 'CSR DNS name is invalid', () => checkDnsName(name));
  const overlap = 'CSR DNS name contains a wildcard that covers another non-wildcard name';
  readOrRefuse(log, overlap, () => checkWildcardOverlap(dnsNames));
  return dnsNames;
}
