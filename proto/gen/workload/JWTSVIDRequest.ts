// Original file: proto/workload.proto


export interface JWTSVIDRequest {
  'audience'?: readonly (string)[];
  'spiffe_id'?: (string);
}

export interface JWTSVIDRequest__Output {
  'audience': (string)[];
  'spiffe_id': (string);
}
