import { FinialError } from '../../../common/errors.ts';
import type { ServerStreamHandler } from '../../../common/rpc/call.ts';
import { encodeResponse } from '../../../common/rpc/service.ts';
import { workloadService } from '../../../common/rpc/services.ts';
import type { X509SVID } from '../../../proto/gen/workload/X509SVID.ts';
import type { X509SVIDRequest__Output } from '../../../proto/gen/workload/X509SVIDRequest.ts';
import type { X509SVIDResponse } from '../../../proto/gen/workload/X509SVIDResponse.ts';
import type { Bundle } from '../../../spiffe/bundle/bundle.ts';
import { trustDomainId } from '../../../spiffe/id.ts';
import { onePerHint } from '../../../spiffe/registration/hint.ts';
import type { Identity, WorkloadUpdate } from '../../cache/contract.ts';
import { callLog, noIdentity } from './caller.ts';
import { type WorkloadApiDependencies } from './dependencies.ts';
import { encodeOnce, onChange } from './encoded.ts';

/** SPIFFE Workload API 5.2.1: the caller's identities with their keys, and all of them again on each change. */
export function fetchX509Svid(
  deps: WorkloadApiDependencies,
): ServerStreamHandler<X509SVIDRequest__Output, X509SVIDResponse> {
  const encode = encodeOnce(
    (update) => encodeResponse(workloadService(), 'FetchX509SVID', x509SvidResponse(update)),
    deps.log,
  );
  return async function* (_request, call) {
    const log = callLog(deps.log, call);
    const selectors = await deps.attest(call.peer, call.signal);
    const isNew = onChange();
    for await (const update of deps.cache.subscribe(selectors, call.signal)) {
      if (update.identities.length === 0) throw noIdentity(deps, log, selectors);
      const response = encode(update);
      if (!isNew(response)) continue;
      const { kept } = onePerHint(update.identities, ({ entry }) => entry);
      for (const { entry } of kept) {
        log.debug('Fetched X.509 SVID', { spiffe_id: entry.spiffeId, count: kept.length, registered: true });
      }
      yield response;
    }
  };
}

function x509SvidResponse({ identities, bundle, federatedBundles }: WorkloadUpdate): X509SVIDResponse {
  const own = x509BundleDer(bundle);
  // Clients take an empty bundle for a broken agent and give up for good.
  if (own.length === 0) throw new FinialError('unavailable', 'the bundle of the trust domain is not known yet');
  const federated: Record<string, Buffer> = {};
  for (const [trustDomain, foreign] of federatedBundles) {
    if (foreign.x509Authorities.length > 0) federated[trustDomainId(trustDomain)] = x509BundleDer(foreign);
  }
  return {
    svids: onePerHint(identities, ({ entry }) => entry).kept.map((identity) => x509Svid(identity, own)),
    federated_bundles: federated,
  };
}

function x509Svid({ entry, svid }: Identity, bundle: Buffer): X509SVID {
  return {
    spiffe_id: entry.spiffeId,
    x509_svid: Buffer.concat(svid.chain),
    x509_svid_key: svid.privateKey.export({ type: 'pkcs8', format: 'der' }),
    bundle,
    hint: entry.hint,
  };
}

/** The X.509 authorities one after the other; empty when there are none. */
export function x509BundleDer(bundle: Pick<Bundle, 'x509Authorities'>): Buffer {
  return Buffer.concat(bundle.x509Authorities.map(({ certificate }) => certificate));
}
