import type { ServerStreamHandler } from '../../../common/rpc/call.ts';
import { encodeResponse } from '../../../common/rpc/service.ts';
import { workloadService } from '../../../common/rpc/services.ts';
import type { JWTBundlesRequest__Output } from '../../../proto/gen/workload/JWTBundlesRequest.ts';
import type { JWTBundlesResponse } from '../../../proto/gen/workload/JWTBundlesResponse.ts';
import { jwksOf } from '../../../spiffe/bundle/json.ts';
import { bundleMap, bundleStream } from './bundle-stream.ts';
import { type WorkloadApiDependencies } from './dependencies.ts';
import { encodeOnce } from './encoded.ts';

/** SPIFFE Workload API 6.2.2: the JWT bundles as JWK Sets. */
export function fetchJwtBundles(
  deps: WorkloadApiDependencies,
): ServerStreamHandler<JWTBundlesRequest__Output, JWTBundlesResponse> {
  const encode = encodeOnce((update) => {
    const hasKeys = ({ jwtAuthorities }: { readonly jwtAuthorities: readonly unknown[] }) => jwtAuthorities.length > 0;
    const bundles = bundleMap(update, hasKeys, (bundle) => Buffer.from(jwksOf(bundle)));
    return encodeResponse(workloadService(), 'FetchJWTBundles', { bundles });
  }, deps.log);
  return (_request, call) => bundleStream(deps, call, encode);
}
