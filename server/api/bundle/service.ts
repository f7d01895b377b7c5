import { implement, type ImplementedService, loadService, unary } from '../../../common/rpc/service.ts';
import type { BundleStore } from '../../../plugins/datastore/sql/contract.ts';
import type { BundleDefinition } from '../../../proto/gen/spire/api/server/bundle/v1/Bundle.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import type { LocalBundle } from '../../bundle/local-bundle.ts';
import { appendBundle } from './append-bundle.ts';
import { countBundles } from './count-bundles.ts';
import { getBundle } from './get-bundle.ts';

export interface BundleServiceDeps {
  readonly trustDomain: TrustDomain;
  readonly localBundle: Pick<LocalBundle, 'get'>;
  /** The store through which changes of the own bundle are noticed. */
  readonly bundles: Pick<BundleStore, 'append' | 'count' | 'get'>;
}

/** Bundles of other trust domains and of downstream servers are not served yet; their methods answer Unimplemented. */
export function bundleService(deps: BundleServiceDeps): ImplementedService {
  const service = loadService<BundleDefinition>(
    'spire/api/server/bundle/v1/bundle.proto',
    'spire.api.server.bundle.v1.Bundle',
  );
  return implement(service, {
    GetBundle: unary(getBundle(deps)),
    CountBundles: unary(countBundles(deps)),
    AppendBundle: unary(appendBundle(deps)),
  });
}
