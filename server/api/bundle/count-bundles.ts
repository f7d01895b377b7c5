import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { BundleStore } from '../../../plugins/datastore/sql/contract.ts';
import type { CountBundlesRequest__Output } from '../../../proto/gen/spire/api/server/bundle/v1/CountBundlesRequest.ts';
import type { CountBundlesResponse } from '../../../proto/gen/spire/api/server/bundle/v1/CountBundlesResponse.ts';
import { stateOf } from '../call-state.ts';
import { workOrRefuse } from '../refuse.ts';

/** Counts all bundles, the own one included. */
export function countBundles(deps: {
  readonly bundles: Pick<BundleStore, 'count'>;
}): UnaryHandler<CountBundlesRequest__Output, CountBundlesResponse> {
  return async (_request, call) => ({
    count: await workOrRefuse(stateOf(call).log, 'failed to count bundles', deps.bundles.count()),
  });
}
