// Original file: proto/spire/common/common.proto


export interface Certificate {
  'der_bytes'?: (Buffer | Uint8Array | string);
  'tainted_key'?: (boolean);
}

export interface Certificate__Output {
  'der_bytes': (Buffer);
  'tainted_key': (boolean);
}
