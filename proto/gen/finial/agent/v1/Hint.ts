// Original file: proto/finial/agent/v1/changes.proto


export interface Hint {
}

export interface Hint__Output {
}
