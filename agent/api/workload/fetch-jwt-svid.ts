import { FinialError, messageOf } from '../../../common/errors.ts';
import type { Logger } from '../../../common/log/logger.ts';
import type { Call, UnaryHandler } from '../../../common/rpc/call.ts';
import type { JWTSVID } from '../../../proto/gen/workload/JWTSVID.ts';
import type { JWTSVIDRequest__Output } from '../../../proto/gen/workload/JWTSVIDRequest.ts';
import type { JWTSVIDResponse } from '../../../proto/gen/workload/JWTSVIDResponse.ts';
import { parseSpiffeId, type SpiffeId } from '../../../spiffe/id.ts';
import { onePerHint } from '../../../spiffe/registration/hint.ts';
import type { AgentEntry } from '../../server-client/contract.ts';
import { callLog, invalidRequest, noIdentity } from './caller.ts';
import type { WorkloadApiDependencies } from './dependencies.ts';

/** SPIFFE Workload API 6.2.1: a token for each of the caller's identities, or for the one it names. */
export function fetchJwtSvid(deps: WorkloadApiDependencies): UnaryHandler<JWTSVIDRequest__Output, JWTSVIDResponse> {
  return async (request, call) => {
    const log = callLog(deps.log, call);
    const audience = request.audience.filter((value) => value !== '');
    if (audience.length === 0) {
      throw invalidRequest(log, 'Missing required audience parameter', 'audience must be specified');
    }
    const wanted = request.spiffe_id === '' ? undefined : requestedId(request.spiffe_id, log);
    const selectors = await deps.attest(call.peer, call.signal);
    // Before the ID is looked at, as a hint names one identity of the workload whatever is asked for.
    const { kept } = onePerHint(deps.cache.matchingEntries(selectors), (entry) => entry);
    const entries = wanted === undefined ? kept : kept.filter(({ spiffeId }) => spiffeId === wanted);
    if (entries.length === 0) {
      const reason = kept.length === 0 ? undefined : 'the requested SPIFFE ID is not among those of this workload';
      throw noIdentity(deps, log, selectors, reason);
    }
    return { svids: await Promise.all(entries.map((entry) => jwtSvid(deps, call, log, entry, audience))) };
  };
}

function requestedId(text: string, log: Logger): SpiffeId {
  try {
    return parseSpiffeId(text);
  } catch (error) {
    throw invalidRequest(log, 'Invalid requested SPIFFE ID', `invalid requested SPIFFE ID: ${messageOf(error)}`);
  }
}

async function jwtSvid(
  { jwtSvids }: WorkloadApiDependencies,
  call: Call,
  log: Logger,
  entry: AgentEntry,
  audience: readonly string[],
): Promise<JWTSVID> {
  try {
    const { token } = await jwtSvids.get(entry, audience, call.signal);
    log.debug('Fetched JWT SVID', { spiffe_id: entry.spiffeId, registered: true });
    return { spiffe_id: entry.spiffeId, svid: token, hint: entry.hint };
  } catch (error) {
    if (!call.signal.aborted) log.error('Could not fetch JWT-SVID', { spiffe_id: entry.spiffeId, error });
    throw new FinialError('unavailable', `could not fetch JWT-SVID: ${messageOf(error)}`, { cause: error });
  }
}
