import type { Logger } from '../../../common/log/logger.ts';
import type { JWTSVID } from '../../../proto/gen/spire/api/types/JWTSVID.ts';
import type { JwtRequest } from '../../issuance/issue.ts';
import { idToProto } from '../convert/ids.ts';
import { refuse, workOrRefuse } from '../refuse.ts';
import type { JwtDeps } from './ports.ts';

/** The part that minting and issuing have in common: the audience rule and the signature. */
export async function signJwt(deps: JwtDeps, request: JwtRequest, log: Logger): Promise<JWTSVID> {
  const about = log.with({ spiffe_id: request.id });
  if (request.audience.length === 0) throw refuse(about, 'invalid-argument', 'at least one audience is required');
  const svid = await workOrRefuse(about, 'failed to sign JWT-SVID', deps.issuer.jwtSvid(request));
  about.debug('Server CA successfully signed JWT SVID', {
    audience: request.audience,
    expiration: new Date(svid.expiresAt * 1000).toISOString(),
  });
  return { token: svid.token, id: idToProto(svid.id), expires_at: svid.expiresAt, issued_at: svid.issuedAt };
}
