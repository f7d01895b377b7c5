import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { NewJWTSVIDRequest__Output } from '../../../proto/gen/spire/api/server/svid/v1/NewJWTSVIDRequest.ts';
import type { NewJWTSVIDResponse } from '../../../proto/gen/spire/api/server/svid/v1/NewJWTSVIDResponse.ts';
import { requireWorkload } from '../../entries/id-rules.ts';
import { callerIdOf, stateOf } from '../call-state.ts';
import { limitOrRefuse, readOrRefuse, refuse } from '../refuse.ts';
import type { JwtDeps, LookupDeps } from './ports.ts';
import { signJwt } from './sign-jwt.ts';

/** Signs a JWT-SVID for an entry that the calling agent may have; ID and lifetime come from the entry. */
export function newJwtSvid(deps: JwtDeps & LookupDeps): UnaryHandler<NewJWTSVIDRequest__Output, NewJWTSVIDResponse> {
  return async ({ audience, entry_id: entryId }, call) => {
    const state = stateOf(call);
    const { audit, log } = state;
    audit.add({ entry_id: entryId, audience: audience.join(',') });
    await limitOrRefuse(state, 1, 'rejecting request due to JWT signing request rate limiting');
    if (deps.jwtDisabled) throw refuse(log, 'unimplemented', 'JWT functionality is disabled');
    const entry = deps.index.lookup(callerIdOf(state), new Set([entryId])).get(entryId);
    if (entry === undefined) throw refuse(log, 'not-found', 'entry not found or not authorized');
    readOrRefuse(log, 'invalid SPIFFE ID', () => requireWorkload(entry.spiffeId, deps.trustDomain));
    audit.add({ spiffe_id: entry.spiffeId, ttl: entry.jwtSvidTtl });
    const includeJti = entry.additionalAttributes?.jwtSvidIncludeJti ?? false;
    const request = { id: entry.spiffeId, audience, ttl: entry.jwtSvidTtl, includeJti };
    return { svid: await signJwt(deps, request, log) };
  };
}
