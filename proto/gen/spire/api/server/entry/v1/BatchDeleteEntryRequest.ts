// Original file: proto/spire/api/server/entry/v1/entry.proto


export interface BatchDeleteEntryRequest {
  'ids'?: readonly (string)[];
}

export interface BatchDeleteEntryRequest__Output {
  'ids': (string)[];
}
