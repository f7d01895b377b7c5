import { hasCode } from '../../../common/errors.ts';
import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { NodeStore } from '../../../plugins/datastore/sql/contract.ts';
import type { Empty } from '../../../proto/gen/google/protobuf/Empty.ts';
import type { BanAgentRequest__Output } from '../../../proto/gen/spire/api/server/agent/v1/BanAgentRequest.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { stateOf } from '../call-state.ts';
import { agentIdFromProto } from '../convert/ids.ts';
import { readOrRefuse, refuse } from '../refuse.ts';

/** Bans an agent: its SVID is refused, and its node cannot attest again until the agent is deleted. */
export function banAgent(deps: {
  readonly trustDomain: TrustDomain;
  readonly nodes: Pick<NodeStore, 'update'>;
}): UnaryHandler<BanAgentRequest__Output, Empty> {
  return async (request, call) => {
    const { audit, log } = stateOf(call);
    const id = readOrRefuse(log, 'invalid agent ID', () => agentIdFromProto(request.id, deps.trustDomain));
    audit.add({ spiffe_id: id });
    const about = log.with({ spiffe_id: id });
    try {
      await deps.nodes.update(id, { serialNumber: '', newSerialNumber: '' });
    } catch (error) {
      if (hasCode(error, 'not-found')) throw refuse(about, 'not-found', 'agent not found');
      throw refuse(about, 'internal', 'failed to ban agent', error);
    }
    about.info('Agent banned');
    return {};
  };
}
