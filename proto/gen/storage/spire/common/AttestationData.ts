// Original file: proto/spire/common/common.proto


export interface AttestationData {
  'type'?: (string);
  'data'?: (Buffer | Uint8Array | string);
}

export interface AttestationData__Output {
  'type': (string);
  'data': (Buffer);
}
