import { implement, type ImplementedService, unary, bidi } from '../../../common/rpc/service.ts';
import { agentService } from '../../../common/rpc/services.ts';
import type { DataStore } from '../../../plugins/datastore/sql/contract.ts';
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

/** What the methods below take. */
export type AgentServiceDeps = AttestDeps & CreateJoinTokenDeps & Pick<DataStore, 'nodes'>;

/** Agents: attesting, renewing, and what operators do with them. */
export function agentApi(deps: AgentServiceDeps): ImplementedService {
  return implement(agentService(), {
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
