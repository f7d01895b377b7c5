// Original file: proto/spire/api/server/logger/v1/logger.proto


export interface GetLoggerRequest {
}

export interface GetLoggerRequest__Output {
}
