import { implement, type ImplementedService, unary } from '../../../common/rpc/service.ts';
import { bundleService } from '../../../common/rpc/services.ts';
import type { BundleStore } from '../../../plugins/datastore/sql/contract.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import type { LocalBundle } from '../../bundle/local-bundle.ts';
import { appendBundle } from './append-bundle.ts';
import { countBundles } from './count-bundles.ts';
import { getBundle } from './get-bundle.ts';

/** What the methods below take. */
export interface BundleServiceDeps {
  readonly trustDomain: TrustDomain;
  readonly localBundle: Pick<LocalBundle, 'get'>;
  /** The store through which changes of the own bundle are noticed. */
  readonly bundles: Pick<BundleStore, 'append' | 'count' | 'get'>;
}

/** Bundles of other trust domains and of downstream servers are not served yet; their methods answer Unimplemented. */
export function bundleApi(deps: BundleServiceDeps): ImplementedService {
  return implement(bundleService(), {
    GetBundle: unary(getBundle(deps)),
    CountBundles: unary(countBundles(deps)),
    AppendBundle: unary(appendBundle(deps)),
  });
}
