import type { ServerStreamHandler } from '../../../common/rpc/call.ts';
import { encodeResponse } from '../../../common/rpc/service.ts';
import { workloadService } from '../../../common/rpc/services.ts';
import type { X509BundlesRequest__Output } from '../../../proto/gen/workload/X509BundlesRequest.ts';
import type { X509BundlesResponse } from '../../../proto/gen/workload/X509BundlesResponse.ts';
import { bundleMap, bundleStream } from './bundle-stream.ts';
import { type WorkloadApiDependencies } from './dependencies.ts';
import { encodeOnce } from './encoded.ts';
import { x509BundleDer } from './fetch-x509-svid.ts';

/** SPIFFE Workload API 5.2.2: the X.509 bundles alone, for those who verify and have no identity of their own to show. */
export function fetchX509Bundles(
  deps: WorkloadApiDependencies,
): ServerStreamHandler<X509BundlesRequest__Output, X509BundlesResponse> {
  const encode = encodeOnce((update) => {
    const bundles = bundleMap(update, ({ x509Authorities }) => x509Authorities.length > 0, x509BundleDer);
    return encodeResponse(workloadService(), 'FetchX509Bundles', { bundles });
  }, deps.log);
  return (_request, call) => bundleStream(deps, call, encode);
}
