import { encodeResponse } from '../../../common/rpc/service.ts';
import type { Bundle } from '../../../spiffe/bundle/bundle.ts';
import { trustDomainId } from '../../../spiffe/id.ts';
import { onePerHint } from '../../../spiffe/registration/hint.ts';
import type { Identity, WorkloadUpdate } from '../../cache/contract.ts';
import { workloadService } from './ports.ts';

/** Encoded once, however many streams see the same update. */
const encoded = new WeakMap<WorkloadUpdate, Buffer>();

/** The X509SVIDResponse of an update, or undefined when it holds no identity. */
export function x509SvidResponse(update: WorkloadUpdate): Buffer | undefined {
  const known = encoded.get(update);
  if (known !== undefined) return known;
  const identities = visibleIdentities(update);
  if (identities.length === 0) return undefined;
  const bundle = certificatesOf(update.bundle);
  const response = encodeResponse(workloadService, 'FetchX509SVID', {
    svids: identities.map(({ entry, svid }) => ({
      spiffe_id: entry.spiffeId,
      x509_svid: Buffer.concat(svid.chain),
      x509_svid_key: svid.privateKey.export({ type: 'pkcs8', format: 'der' }),
      bundle,
      hint: entry.hint,
    })),
    federated_bundles: federatedCertificates(update),
  });
  encoded.set(update, response);
  return response;
}

/** What the workload gets to see: of identities with one hint only the first (SPIFFE Workload API 5.2.1). */
export function visibleIdentities(update: Pick<WorkloadUpdate, 'identities'>): readonly Identity[] {
  return onePerHint(update.identities, ({ entry }) => entry).kept;
}

/** The DER of the X.509 authorities, one behind the other. */
export function certificatesOf(bundle: Bundle): Buffer {
  return Buffer.concat(bundle.x509Authorities.map(({ certificate }) => certificate));
}

/** By trust domain ID, sorted; a trust domain without authorities is left out, as an empty value breaks clients. */
export function federatedCertificates({ federatedBundles }: WorkloadUpdate): Record<string, Buffer> {
  const bundles: Record<string, Buffer> = {};
  for (const [trustDomain, bundle] of [...federatedBundles].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (bundle.x509Authorities.length > 0) bundles[trustDomainId(trustDomain)] = certificatesOf(bundle);
  }
  return bundles;
}
