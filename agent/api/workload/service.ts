import { implement, type ImplementedService, serverStream, unary } from '../../../common/rpc/service.ts';
import { workloadService } from '../../../common/rpc/services.ts';
import { type WorkloadApiDependencies } from './dependencies.ts';
import { fetchJwtBundles } from './fetch-jwt-bundles.ts';
import { fetchJwtSvid } from './fetch-jwt-svid.ts';
import { fetchX509Bundles } from './fetch-x509-bundles.ts';
import { fetchX509Svid } from './fetch-x509-svid.ts';
import { validateJwtSvid } from './validate-jwt-svid.ts';
import { fetchWitBundles, fetchWitSvid } from './wit.ts';

/** The SPIFFE Workload API. To be served behind `requireSecurityHeader`, which comes before any other interceptor. */
export function workloadApi(deps: WorkloadApiDependencies): ImplementedService {
  return implement(workloadService(), {
    FetchX509SVID: serverStream(fetchX509Svid(deps)),
    FetchX509Bundles: serverStream(fetchX509Bundles(deps)),
    FetchJWTSVID: unary(fetchJwtSvid(deps)),
    FetchJWTBundles: serverStream(fetchJwtBundles(deps)),
    ValidateJWTSVID: unary(validateJwtSvid(deps)),
    FetchWITSVID: serverStream(fetchWitSvid),
    FetchWITBundles: serverStream(fetchWitBundles),
  });
}
