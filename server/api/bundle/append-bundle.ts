import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { BundleStore } from '../../../plugins/datastore/sql/contract.ts';
import type { AppendBundleRequest__Output } from '../../../proto/gen/spire/api/server/bundle/v1/AppendBundleRequest.ts';
import type { Bundle as BundleMessage } from '../../../proto/gen/spire/api/types/Bundle.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { stateOf } from '../call-state.ts';
import { bundleToProto, jwtAuthoritiesFromProto, x509AuthoritiesFromProto } from '../convert/bundle.ts';
import { readOrRefuse, refuse, workOrRefuse } from '../refuse.ts';
import { authorityFields } from './audit-fields.ts';

/** Adds authorities to the trust domain's own bundle. */
export function appendBundle(deps: {
  readonly trustDomain: TrustDomain;
  readonly bundles: Pick<BundleStore, 'append'>;
}): UnaryHandler<AppendBundleRequest__Output, BundleMessage> {
  return async (request, call) => {
    const { audit, log } = stateOf(call);
    const { jwt_authorities: jwt, output_mask: mask, x509_authorities: x509 } = request;
    audit.add(authorityFields(jwt, x509));
    if (jwt.length === 0 && x509.length === 0) throw refuse(log, 'invalid-argument', 'no authorities to append');
    const about = log.with({ trust_domain_id: deps.trustDomain });
    const jwtAuthorities = readOrRefuse(about, 'failed to convert JWT authority', () => jwtAuthoritiesFromProto(jwt));
    const x509Authorities = readOrRefuse(about, 'failed to convert X.509 authority', () =>
      x509AuthoritiesFromProto(x509),
    );
    const added = { trustDomain: deps.trustDomain, jwtAuthorities, x509Authorities };
    return bundleToProto(await workOrRefuse(about, 'failed to append bundle', deps.bundles.append(added)), mask);
  };
}
