import { SpiffeError } from '../../../spiffe/error.ts';
import type { UnaryHandler } from '../../../common/rpc/call.ts';
import { type JsonObject, toStruct } from '../../../common/rpc/struct.ts';
import type { ValidateJWTSVIDRequest__Output } from '../../../proto/gen/workload/ValidateJWTSVIDRequest.ts';
import type { ValidateJWTSVIDResponse } from '../../../proto/gen/workload/ValidateJWTSVIDResponse.ts';
import { isMemberOf } from '../../../spiffe/id.ts';
import { type VerifiedJwtSvid, verifyJwtSvid } from '../../../spiffe/jwt/verify.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import type { WorkloadUpdate } from '../../cache/contract.ts';
import { callLog, invalidRequest } from './caller.ts';
import type { WorkloadApiDependencies } from './dependencies.ts';

/** The claims that mean the same in all trust domains (JWT-SVID 3). */
const STANDARD_CLAIMS = ['sub', 'exp', 'aud'];

/** SPIFFE Workload API 6.2.3: verifies a token with the bundles that the caller would get. */
export function validateJwtSvid(
  deps: WorkloadApiDependencies,
): UnaryHandler<ValidateJWTSVIDRequest__Output, ValidateJWTSVIDResponse> {
  return async ({ audience, svid: token }, call) => {
    const log = callLog(deps.log, call);
    if (audience === '') {
      throw invalidRequest(log, 'Missing required audience parameter', 'audience must be specified');
    }
    if (token === '') throw invalidRequest(log, 'Missing required svid parameter', 'svid must be specified');
    const selectors = await deps.attest(call.peer, call.signal);
    const visible = deps.cache.snapshot(selectors);
    const { trustDomain } = visible.bundle;
    try {
      const svid = await verifyJwtSvid(token, {
        audience: [audience],
        authorities: (issuer) => bundleOf(visible, issuer)?.jwtAuthorities,
        now: deps.clock.now(),
      });
      const claims = visibleClaims(svid, trustDomain, deps.config.allowedForeignJwtClaims);
      return { spiffe_id: svid.id, claims: toStruct(claims) };
    } catch (error) {
      if (error instanceof SpiffeError) log.warn('Failed to validate JWT', { audience, error });
      throw error;
    }
  };
}

function bundleOf({ bundle, federatedBundles }: WorkloadUpdate, trustDomain: TrustDomain) {
  return trustDomain === bundle.trustDomain ? bundle : federatedBundles.get(trustDomain);
}

/** Another trust domain may mean something else by its own claims, so only those that the operator knows are passed on. */
function visibleClaims(svid: VerifiedJwtSvid, own: TrustDomain, allowedForeign: readonly string[]): JsonObject {
  if (isMemberOf(svid.id, own)) return svid.claims;
  const allowed = new Set([...STANDARD_CLAIMS, ...allowedForeign]);
  return Object.fromEntries(Object.entries(svid.claims).filter(([name]) => allowed.has(name)));
}
