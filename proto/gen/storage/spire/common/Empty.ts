// Original file: proto/spire/common/common.proto


export interface Empty {
}

export interface Empty__Output {
}
