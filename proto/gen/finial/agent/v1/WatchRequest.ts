// Original file: proto/finial/agent/v1/changes.proto


export interface WatchRequest {
}

export interface WatchRequest__Output {
}
