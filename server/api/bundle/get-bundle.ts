import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { GetBundleRequest__Output } from '../../../proto/gen/spire/api/server/bundle/v1/GetBundleRequest.ts';
import type { Bundle as BundleMessage } from '../../../proto/gen/spire/api/types/Bundle.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import type { Bundle } from '../../../spiffe/bundle/bundle.ts';
import type { LocalBundle } from '../../bundle/local-bundle.ts';
import { stateOf } from '../call-state.ts';
import { bundleToProto } from '../convert/bundle.ts';
import { refuse, workOrRefuse } from '../refuse.ts';

/** The trust domain's own bundle, at most a second old; anyone may have it. */
export function getBundle(deps: {
  readonly trustDomain: TrustDomain;
  readonly localBundle: Pick<LocalBundle, 'get'>;
}): UnaryHandler<GetBundleRequest__Output, BundleMessage> {
  return async ({ output_mask: mask }, call) => {
    const { audit, log } = stateOf(call);
    audit.add({ trust_domain_id: deps.trustDomain });
    const bundle = await workOrRefuse(log, 'failed to fetch bundle', deps.localBundle.get());
    if (!isStored(bundle)) throw refuse(log, 'not-found', 'bundle not found');
    return bundleToProto(bundle, mask);
  };
}

/** A store without the bundle reads as an empty one. */
function isStored(bundle: Bundle): boolean {
  return bundle.x509Authorities.length > 0 || bundle.jwtAuthorities.length > 0;
}
