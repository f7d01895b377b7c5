// Original file: proto/spire/api/server/logger/v1/logger.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { GetLoggerRequest as _spire_api_server_logger_v1_GetLoggerRequest, GetLoggerRequest__Output as _spire_api_server_logger_v1_GetLoggerRequest__Output } from '../../../../../spire/api/server/logger/v1/GetLoggerRequest.ts';
import type { Logger as _spire_api_types_Logger, Logger__Output as _spire_api_types_Logger__Output } from '../../../../../spire/api/types/Logger.ts';
import type { ResetLogLevelRequest as _spire_api_server_logger_v1_ResetLogLevelRequest, ResetLogLevelRequest__Output as _spire_api_server_logger_v1_ResetLogLevelRequest__Output } from '../../../../../spire/api/server/logger/v1/ResetLogLevelRequest.ts';
import type { SetLogLevelRequest as _spire_api_server_logger_v1_SetLogLevelRequest, SetLogLevelRequest__Output as _spire_api_server_logger_v1_SetLogLevelRequest__Output } from '../../../../../spire/api/server/logger/v1/SetLogLevelRequest.ts';

export interface LoggerDefinition {
  GetLogger: MethodDefinition<_spire_api_server_logger_v1_GetLoggerRequest, _spire_api_types_Logger, _spire_api_server_logger_v1_GetLoggerRequest__Output, _spire_api_types_Logger__Output>
  ResetLogLevel: MethodDefinition<_spire_api_server_logger_v1_ResetLogLevelRequest, _spire_api_types_Logger, _spire_api_server_logger_v1_ResetLogLevelRequest__Output, _spire_api_types_Logger__Output>
  SetLogLevel: MethodDefinition<_spire_api_server_logger_v1_SetLogLevelRequest, _spire_api_types_Logger, _spire_api_server_logger_v1_SetLogLevelRequest__Output, _spire_api_types_Logger__Output>
}
