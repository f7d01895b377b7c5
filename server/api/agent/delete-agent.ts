import { hasCode } from '../../../common/errors.ts';
import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { NodeStore } from '../../../plugins/datastore/sql/contract.ts';
import type { Empty } from '../../../proto/gen/google/protobuf/Empty.ts';
import type { DeleteAgentRequest__Output } from '../../../proto/gen/spire/api/server/agent/v1/DeleteAgentRequest.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { stateOf } from '../call-state.ts';
import { agentIdFromProto } from '../convert/ids.ts';
import { readOrRefuse, refuse } from '../refuse.ts';

/** Evicts an agent: its SVID is refused from now on, but the node may attest again. */
export function deleteAgent(deps: {
  readonly trustDomain: TrustDomain;
  readonly nodes: Pick<NodeStore, 'delete'>;
}): UnaryHandler<DeleteAgentRequest__Output, Empty> {
  return async (request, call) => {
    const { audit, log } = stateOf(call);
    const id = readOrRefuse(log, 'invalid agent ID', () => agentIdFromProto(request.id, deps.trustDomain));
    audit.add({ spiffe_id: id });
    const about = log.with({ spiffe_id: id });
    try {
      await deps.nodes.delete(id);
    } catch (error) {
      if (hasCode(error, 'not-found')) throw refuse(about, 'not-found', 'agent not found');
      throw refuse(about, 'internal', 'failed to remove agent', error);
    }
    about.info('Agent deleted');
    return {};
  };
}
