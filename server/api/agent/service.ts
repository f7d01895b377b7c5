import { implement, type ImplementedService, loadService, unary, bidi } from '../../../common/rpc/service.ts';
import type { DataStore } from '../../../plugins/datastore/sql/contract.ts';
import type { AgentDefinition } from '../../../proto/gen/spire/api/server/agent/v1/Agent.ts';
import type { AttestDeps } from '../../attestation/attest.ts';
import { attestAgent } from './attest-agent.ts';
import { banAgent } from './ban-agent.ts';
import { countAgents } from './count-agents.ts';
import { createJoinToken, type CreateJoinTokenDeps } from './create-join-token.ts';
import { deleteAgent } from './delete-agent.ts';
import { getAgent } from './get-agent.ts';
import { listAgents } from './list-agents.ts';
import { postStatus } from './post-status.ts';
import { renewAgent } from './renew-agent.ts';

export type AgentServiceDeps = AttestDeps & CreateJoinTokenDeps & Pick<DataStore, 'nodes'>;

export function agentService(deps: AgentServiceDeps): ImplementedService {
  const service = loadService<AgentDefinition>(
    'spire/api/server/agent/v1/agent.proto',
    'spire.api.server.agent.v1.Agent',
  );
  return implement(service, {
    CountAgents: unary(countAgents(deps)),
    ListAgents: unary(listAgents(deps)),
    GetAgent: unary(getAgent(deps)),
    DeleteAgent: unary(deleteAgent(deps)),
    BanAgent: unary(banAgent(deps)),
    AttestAgent: bidi(attestAgent(deps)),
    RenewAgent: unary(renewAgent(deps)),
    CreateJoinToken: unary(createJoinToken(deps)),
    PostStatus: unary(postStatus(deps)),
  });
}
