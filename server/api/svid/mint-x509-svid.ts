import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { MintX509SVIDRequest__Output } from '../../../proto/gen/spire/api/server/svid/v1/MintX509SVIDRequest.ts';
import type { MintX509SVIDResponse } from '../../../proto/gen/spire/api/server/svid/v1/MintX509SVIDResponse.ts';
import { formatSubject, subjectOf } from '../../../spiffe/x509/name.ts';
import { hashField } from '../audit-fields.ts';
import { stateOf } from '../call-state.ts';
import { x509SvidToProto } from '../convert/x509-svid.ts';
import { readOrRefuse, refuse, workOrRefuse } from '../refuse.ts';
import { requestedDnsNames, requestedId, verifiedCsr } from './csr.ts';
import type { X509Deps } from './ports.ts';

/** Signs an X509-SVID for any workload ID an operator names in the request; no entry is asked for. */
export function mintX509Svid(deps: X509Deps): UnaryHandler<MintX509SVIDRequest__Output, MintX509SVIDResponse> {
  return async ({ csr: der, ttl }, call) => {
    const { audit, log } = stateOf(call);
    audit.add({ csr: hashField(der), ttl });
    if (der.length === 0) throw refuse(log, 'invalid-argument', 'missing CSR');
    const csr = await verifiedCsr(der, 'failed to verify CSR signature', log);
    const id = requestedId(csr, deps.trustDomain, log);
    const dnsNames = requestedDnsNames(csr, log);
    const subject = readOrRefuse(log, 'malformed CSR', () => subjectOf(csr.subject));
    const svid = await workOrRefuse(
      log,
      'failed to sign X509-SVID',
      deps.issuer.workloadX509Svid({ publicKey: csr.publicKey, id, dnsNames, ttl, subject }),
    );
    const about = { spiffe_id: id, dns_name: dnsNames.join(','), subject: formatSubject(subject) };
    const expiration = new Date(svid.expiresAt * 1000).toISOString().replace('.000Z', 'Z');
    audit.add({ ...about, expires_at: expiration });
    log.debug('Signed X509 SVID', { ...about, expiration, serial_num: svid.serialNumber });
    return { svid: x509SvidToProto(svid) };
  };
}
