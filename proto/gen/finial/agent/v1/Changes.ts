// Original file: proto/finial/agent/v1/changes.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { Hint as _finial_agent_v1_Hint, Hint__Output as _finial_agent_v1_Hint__Output } from '../../../finial/agent/v1/Hint.ts';
import type { WatchRequest as _finial_agent_v1_WatchRequest, WatchRequest__Output as _finial_agent_v1_WatchRequest__Output } from '../../../finial/agent/v1/WatchRequest.ts';

export interface ChangesDefinition {
  Watch: MethodDefinition<_finial_agent_v1_WatchRequest, _finial_agent_v1_Hint, _finial_agent_v1_WatchRequest__Output, _finial_agent_v1_Hint__Output>
}
