// Original file: proto/spire/agent/debug/v1/debug.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { GetInfoRequest as _spire_agent_debug_v1_GetInfoRequest, GetInfoRequest__Output as _spire_agent_debug_v1_GetInfoRequest__Output } from '../../../../spire/agent/debug/v1/GetInfoRequest.ts';
import type { GetInfoResponse as _spire_agent_debug_v1_GetInfoResponse, GetInfoResponse__Output as _spire_agent_debug_v1_GetInfoResponse__Output } from '../../../../spire/agent/debug/v1/GetInfoResponse.ts';

export interface DebugDefinition {
  GetInfo: MethodDefinition<_spire_agent_debug_v1_GetInfoRequest, _spire_agent_debug_v1_GetInfoResponse, _spire_agent_debug_v1_GetInfoRequest__Output, _spire_agent_debug_v1_GetInfoResponse__Output>
}
