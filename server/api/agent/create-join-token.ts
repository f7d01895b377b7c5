import { unixSeconds, type Clock } from '../../../common/clock.ts';
import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { JoinTokenStore, NewEntry } from '../../../plugins/datastore/sql/contract.ts';
import type { CreateJoinTokenRequest__Output } from '../../../proto/gen/spire/api/server/agent/v1/CreateJoinTokenRequest.ts';
import type { JoinToken } from '../../../proto/gen/spire/api/types/JoinToken.ts';
import { spiffeId, type SpiffeId } from '../../../spiffe/id.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { stateOf } from '../call-state.ts';
import { workloadIdFromProto } from '../convert/ids.ts';
import { readOrRefuse, refuse, workOrRefuse } from '../refuse.ts';

/** What making a token takes. */
export interface CreateJoinTokenDeps {
  readonly trustDomain: TrustDomain;
  readonly joinTokens: Pick<JoinTokenStore, 'create'>;
  readonly clock: Clock;
  /** A random UUID. */
  readonly newToken: () => string;
}

/** Makes a token for one attestation; with an agent ID also the entry that gives the node that alias. */
export function createJoinToken(deps: CreateJoinTokenDeps): UnaryHandler<CreateJoinTokenRequest__Output, JoinToken> {
  return async (request, call) => {
    const { audit, log } = stateOf(call);
    if (request.ttl > 0) audit.add({ ttl: request.ttl });
    if (request.ttl < 1) throw refuse(log, 'invalid-argument', 'ttl is required, you must provide one');
    const agentId =
      request.agent_id === null
        ? undefined
        : readOrRefuse(log, 'invalid agent ID', () => workloadIdFromProto(request.agent_id, deps.trustDomain));
    if (agentId !== undefined) audit.add({ spiffe_id: agentId });
    const token = request.token === '' ? deps.newToken() : request.token;
    readOrRefuse(log, 'token must be fit for a SPIFFE ID', () => tokenAgentId(token, deps.trustDomain));
    const expiresAt = unixSeconds(deps.clock) + request.ttl;
    const alias = agentId === undefined ? undefined : aliasOf(token, agentId, deps.trustDomain);
    await workOrRefuse(log, 'failed to create token', deps.joinTokens.create({ token, expiresAt }, alias));
    return { value: token, expires_at: expiresAt };
  };
}

/** The agent that attests with the token. A token that could not become one would only fail later, and be used up. */
function tokenAgentId(token: string, trustDomain: TrustDomain): SpiffeId {
  return spiffeId(trustDomain, `/spire/agent/join_token/${token}`);
}

/** The shape of this entry is how it is found again when the node is deleted. */
function aliasOf(token: string, agentId: SpiffeId, trustDomain: TrustDomain): NewEntry {
  const parentId = tokenAgentId(token, trustDomain);
  return {
    parentId,
    spiffeId: agentId,
    selectors: [{ type: 'spiffe_id', value: parentId }],
    x509SvidTtl: 0,
    jwtSvidTtl: 0,
    federatesWith: [],
    admin: false,
    downstream: false,
    expiresAt: 0,
    dnsNames: [],
    storeSvid: false,
    hint: '',
  };
}
