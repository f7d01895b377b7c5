import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { NodeStore } from '../../../plugins/datastore/sql/contract.ts';
import type { ListAgentsRequest__Output } from '../../../proto/gen/spire/api/server/agent/v1/ListAgentsRequest.ts';
import type { ListAgentsResponse } from '../../../proto/gen/spire/api/server/agent/v1/ListAgentsResponse.ts';
import { agentFilterFields } from '../audit-fields.ts';
import { stateOf } from '../call-state.ts';
import { agentToProto, nodeFilterFromProto } from '../convert/agent.ts';
import { pageFromProto } from '../convert/filters.ts';
import { readOrRefuse, workOrRefuse } from '../refuse.ts';

/** Lists the agents that a filter selects, page by page. */
export function listAgents(deps: {
  readonly nodes: Pick<NodeStore, 'list'>;
}): UnaryHandler<ListAgentsRequest__Output, ListAgentsResponse> {
  return async (request, call) => {
    const { audit, log } = stateOf(call);
    const { output_mask: mask, filter } = request;
    audit.add(agentFilterFields(filter));
    const query = {
      ...readOrRefuse(log, 'failed to parse selectors', () => nodeFilterFromProto(filter)),
      ...pageFromProto(request),
      // Selectors cost a join, so they are read only where they are shown.
      withSelectors: mask === null || mask.selectors,
    };
    const { nodes, nextToken } = await workOrRefuse(log, 'failed to list agents', deps.nodes.list(query));
    return { agents: nodes.map((node) => agentToProto(node, mask)), next_page_token: nextToken };
  };
}
