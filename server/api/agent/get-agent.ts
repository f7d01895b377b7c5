import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { NodeStore } from '../../../plugins/datastore/sql/contract.ts';
import type { GetAgentRequest__Output } from '../../../proto/gen/spire/api/server/agent/v1/GetAgentRequest.ts';
import type { Agent } from '../../../proto/gen/spire/api/types/Agent.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { stateOf } from '../call-state.ts';
import { agentToProto } from '../convert/agent.ts';
import { agentIdFromProto } from '../convert/ids.ts';
import { readOrRefuse, refuse, workOrRefuse } from '../refuse.ts';

/** Shows one agent. */
export function getAgent(deps: {
  readonly trustDomain: TrustDomain;
  readonly nodes: Pick<NodeStore, 'get'>;
}): UnaryHandler<GetAgentRequest__Output, Agent> {
  return async (request, call) => {
    const { audit, log } = stateOf(call);
    const id = readOrRefuse(log, 'invalid agent ID', () => agentIdFromProto(request.id, deps.trustDomain));
    audit.add({ spiffe_id: id });
    const node = await workOrRefuse(log, 'failed to fetch agent', deps.nodes.get(id));
    if (node === undefined) throw refuse(log.with({ spiffe_id: id }), 'not-found', 'agent not found');
    return agentToProto(node, request.output_mask);
  };
}
