// Original file: proto/spire/api/server/agent/v1/agent.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { Agent as _spire_api_types_Agent, Agent__Output as _spire_api_types_Agent__Output } from '../../../../../spire/api/types/Agent.ts';
import type { AttestAgentRequest as _spire_api_server_agent_v1_AttestAgentRequest, AttestAgentRequest__Output as _spire_api_server_agent_v1_AttestAgentRequest__Output } from '../../../../../spire/api/server/agent/v1/AttestAgentRequest.ts';
import type { AttestAgentResponse as _spire_api_server_agent_v1_AttestAgentResponse, AttestAgentResponse__Output as _spire_api_server_agent_v1_AttestAgentResponse__Output } from '../../../../../spire/api/server/agent/v1/AttestAgentResponse.ts';
import type { BanAgentRequest as _spire_api_server_agent_v1_BanAgentRequest, BanAgentRequest__Output as _spire_api_server_agent_v1_BanAgentRequest__Output } from '../../../../../spire/api/server/agent/v1/BanAgentRequest.ts';
import type { CountAgentsRequest as _spire_api_server_agent_v1_CountAgentsRequest, CountAgentsRequest__Output as _spire_api_server_agent_v1_CountAgentsRequest__Output } from '../../../../../spire/api/server/agent/v1/CountAgentsRequest.ts';
import type { CountAgentsResponse as _spire_api_server_agent_v1_CountAgentsResponse, CountAgentsResponse__Output as _spire_api_server_agent_v1_CountAgentsResponse__Output } from '../../../../../spire/api/server/agent/v1/CountAgentsResponse.ts';
import type { CreateJoinTokenRequest as _spire_api_server_agent_v1_CreateJoinTokenRequest, CreateJoinTokenRequest__Output as _spire_api_server_agent_v1_CreateJoinTokenRequest__Output } from '../../../../../spire/api/server/agent/v1/CreateJoinTokenRequest.ts';
import type { DeleteAgentRequest as _spire_api_server_agent_v1_DeleteAgentRequest, DeleteAgentRequest__Output as _spire_api_server_agent_v1_DeleteAgentRequest__Output } from '../../../../../spire/api/server/agent/v1/DeleteAgentRequest.ts';
import type { Empty as _google_protobuf_Empty, Empty__Output as _google_protobuf_Empty__Output } from '../../../../../google/protobuf/Empty.ts';
import type { GetAgentRequest as _spire_api_server_agent_v1_GetAgentRequest, GetAgentRequest__Output as _spire_api_server_agent_v1_GetAgentRequest__Output } from '../../../../../spire/api/server/agent/v1/GetAgentRequest.ts';
import type { JoinToken as _spire_api_types_JoinToken, JoinToken__Output as _spire_api_types_JoinToken__Output } from '../../../../../spire/api/types/JoinToken.ts';
import type { ListAgentsRequest as _spire_api_server_agent_v1_ListAgentsRequest, ListAgentsRequest__Output as _spire_api_server_agent_v1_ListAgentsRequest__Output } from '../../../../../spire/api/server/agent/v1/ListAgentsRequest.ts';
import type { ListAgentsResponse as _spire_api_server_agent_v1_ListAgentsResponse, ListAgentsResponse__Output as _spire_api_server_agent_v1_ListAgentsResponse__Output } from '../../../../../spire/api/server/agent/v1/ListAgentsResponse.ts';
import type { PostStatusRequest as _spire_api_server_agent_v1_PostStatusRequest, PostStatusRequest__Output as _spire_api_server_agent_v1_PostStatusRequest__Output } from '../../../../../spire/api/server/agent/v1/PostStatusRequest.ts';
import type { PostStatusResponse as _spire_api_server_agent_v1_PostStatusResponse, PostStatusResponse__Output as _spire_api_server_agent_v1_PostStatusResponse__Output } from '../../../../../spire/api/server/agent/v1/PostStatusResponse.ts';
import type { RenewAgentRequest as _spire_api_server_agent_v1_RenewAgentRequest, RenewAgentRequest__Output as _spire_api_server_agent_v1_RenewAgentRequest__Output } from '../../../../../spire/api/server/agent/v1/RenewAgentRequest.ts';
import type { RenewAgentResponse as _spire_api_server_agent_v1_RenewAgentResponse, RenewAgentResponse__Output as _spire_api_server_agent_v1_RenewAgentResponse__Output } from '../../../../../spire/api/server/agent/v1/RenewAgentResponse.ts';

export interface AgentDefinition {
  AttestAgent: MethodDefinition<_spire_api_server_agent_v1_AttestAgentRequest, _spire_api_server_agent_v1_AttestAgentResponse, _spire_api_server_agent_v1_AttestAgentRequest__Output, _spire_api_server_agent_v1_AttestAgentResponse__Output>
  BanAgent: MethodDefinition<_spire_api_server_agent_v1_BanAgentRequest, _google_protobuf_Empty, _spire_api_server_agent_v1_BanAgentRequest__Output, _google_protobuf_Empty__Output>
  CountAgents: MethodDefinition<_spire_api_server_agent_v1_CountAgentsRequest, _spire_api_server_agent_v1_CountAgentsResponse, _spire_api_server_agent_v1_CountAgentsRequest__Output, _spire_api_server_agent_v1_CountAgentsResponse__Output>
  CreateJoinToken: MethodDefinition<_spire_api_server_agent_v1_CreateJoinTokenRequest, _spire_api_types_JoinToken, _spire_api_server_agent_v1_CreateJoinTokenRequest__Output, _spire_api_types_JoinToken__Output>
  DeleteAgent: MethodDefinition<_spire_api_server_agent_v1_DeleteAgentRequest, _google_protobuf_Empty, _spire_api_server_agent_v1_DeleteAgentRequest__Output, _google_protobuf_Empty__Output>
  GetAgent: MethodDefinition<_spire_api_server_agent_v1_GetAgentRequest, _spire_api_types_Agent, _spire_api_server_agent_v1_GetAgentRequest__Output, _spire_api_types_Agent__Output>
  ListAgents: MethodDefinition<_spire_api_server_agent_v1_ListAgentsRequest, _spire_api_server_agent_v1_ListAgentsResponse, _spire_api_server_agent_v1_ListAgentsRequest__Output, _spire_api_server_agent_v1_ListAgentsResponse__Output>
  PostStatus: MethodDefinition<_spire_api_server_agent_v1_PostStatusRequest, _spire_api_server_agent_v1_PostStatusResponse, _spire_api_server_agent_v1_PostStatusRequest__Output, _spire_api_server_agent_v1_PostStatusResponse__Output>
  RenewAgent: MethodDefinition<_spire_api_server_agent_v1_RenewAgentRequest, _spire_api_server_agent_v1_RenewAgentResponse, _spire_api_server_agent_v1_RenewAgentRequest__Output, _spire_api_server_agent_v1_RenewAgentResponse__Output>
}
