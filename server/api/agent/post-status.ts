import { hasCode } from '../../../common/errors.ts';
import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { NodeStore } from '../../../plugins/datastore/sql/contract.ts';
import type { PostStatusRequest__Output } from '../../../proto/gen/spire/api/server/agent/v1/PostStatusRequest.ts';
import type { PostStatusResponse } from '../../../proto/gen/spire/api/server/agent/v1/PostStatusResponse.ts';
import { callerIdOf, stateOf } from '../call-state.ts';
import { limitOrRefuse, refuse } from '../refuse.ts';

const LONGEST_VERSION = 255;

/** Takes note of the version of a calling agent. */
export function postStatus(deps: {
  readonly nodes: Pick<NodeStore, 'update'>;
}): UnaryHandler<PostStatusRequest__Output, PostStatusResponse> {
  return async ({ agent_version: agentVersion }, call) => {
    const state = stateOf(call);
    const { audit } = state;
    await limitOrRefuse(state, 1, 'rejecting request due to post status rate limiting');
    const id = callerIdOf(state);
    const log = state.log.with({ spiffe_id: id });
    audit.add({ spiffe_id: id });
    if (agentVersion === '') return {};
    if (Buffer.byteLength(agentVersion) > LONGEST_VERSION) {
      throw refuse(log, 'invalid-argument', `agent version is too long (max ${LONGEST_VERSION} characters)`);
    }
    audit.add({ agent_version: agentVersion });
    try {
      await deps.nodes.update(id, { agentVersion });
    } catch (error) {
      if (hasCode(error, 'not-found')) throw refuse(log, 'not-found', 'agent not found');
      throw refuse(log, 'internal', 'failed to update agent', error);
    }
    log.debug('Agent status updated', { agent_version: agentVersion });
    return {};
  };
}
