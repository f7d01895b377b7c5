import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { NodeStore } from '../../../plugins/datastore/sql/contract.ts';
import type { CountAgentsRequest__Output } from '../../../proto/gen/spire/api/server/agent/v1/CountAgentsRequest.ts';
import type { CountAgentsResponse } from '../../../proto/gen/spire/api/server/agent/v1/CountAgentsResponse.ts';
import { stateOf } from '../call-state.ts';
import { nodeFilterFromProto } from '../convert/agent.ts';
import { readOrRefuse, workOrRefuse } from '../refuse.ts';
import { agentFilterFields } from '../audit-fields.ts';

/** Counts the agents that a filter selects. */
export function countAgents(deps: {
  readonly nodes: Pick<NodeStore, 'count'>;
}): UnaryHandler<CountAgentsRequest__Output, CountAgentsResponse> {
  return async ({ filter }, call) => {
    const { audit, log } = stateOf(call);
    audit.add(agentFilterFields(filter));
    const { filter: nodes } = readOrRefuse(log, 'failed to parse selectors', () => nodeFilterFromProto(filter));
    return { count: await workOrRefuse(log, 'failed to count agents', deps.nodes.count(nodes)) };
  };
}
