import { FinialError } from '../../../common/errors.ts';
import { implement, type ImplementedService, unary } from '../../../common/rpc/service.ts';
import { svidService } from '../../../common/rpc/services.ts';
import { batchNewX509Svid } from './batch-new-x509-svid.ts';
import { mintJwtSvid } from './mint-jwt-svid.ts';
import { mintX509Svid } from './mint-x509-svid.ts';
import { newJwtSvid } from './new-jwt-svid.ts';
import type { JwtDeps, LookupDeps, X509Deps } from './ports.ts';

/** What the methods below take. */
export type SvidServiceDeps = X509Deps & JwtDeps & LookupDeps;

/** WIT-SVIDs and downstream authorities are not served yet; their methods answer Unimplemented. */
export function svidApi(deps: SvidServiceDeps): ImplementedService {
  return implement(svidService(), {
    MintX509SVID: unary(mintX509Svid(deps)),
    MintJWTSVID: unary(mintJwtSvid(deps)),
    MintWITSVID: unary(async () => {
      // The reference's own answer while its feature flag is off.
      throw new FinialError('unimplemented', 'WIT functionality is disabled');
    }),
    BatchNewX509SVID: unary(batchNewX509Svid(deps)),
    NewJWTSVID: unary(newJwtSvid(deps)),
  });
}
