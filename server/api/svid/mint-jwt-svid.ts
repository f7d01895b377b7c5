import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { MintJWTSVIDRequest__Output } from '../../../proto/gen/spire/api/server/svid/v1/MintJWTSVIDRequest.ts';
import type { MintJWTSVIDResponse } from '../../../proto/gen/spire/api/server/svid/v1/MintJWTSVIDResponse.ts';
import { stateOf } from '../call-state.ts';
import { workloadIdFromProto } from '../convert/ids.ts';
import { readOrRefuse, refuse } from '../refuse.ts';
import type { JwtDeps } from './ports.ts';
import { signJwt } from './sign-jwt.ts';

/** Signs a JWT-SVID for any workload ID an operator names; no entry is asked for. */
export function mintJwtSvid(deps: JwtDeps): UnaryHandler<MintJWTSVIDRequest__Output, MintJWTSVIDResponse> {
  return async ({ audience, id: message, ttl }, call) => {
    const { audit, log } = stateOf(call);
    if (deps.jwtDisabled) throw refuse(log, 'unimplemented', 'JWT functionality is disabled');
    audit.add({ ttl, ...(audience.length > 0 && { audience: audience.join(',') }) });
    const id = readOrRefuse(log, 'invalid SPIFFE ID', () => workloadIdFromProto(message, deps.trustDomain));
    audit.add({ spiffe_id: id });
    return { svid: await signJwt(deps, { id, audience, ttl, includeJti: false }, log) };
  };
}
