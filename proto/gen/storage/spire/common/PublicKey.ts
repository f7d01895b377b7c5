// Original file: proto/spire/common/common.proto

import type { Long } from '@grpc/proto-loader';

export interface PublicKey {
  'pkix_bytes'?: (Buffer | Uint8Array | string);
  'kid'?: (string);
  'not_after'?: (number | string | Long);
  'tainted_key'?: (boolean);
}

export interface PublicKey__Output {
  'pkix_bytes': (Buffer);
  'kid': (string);
  'not_after': (string);
  'tainted_key': (boolean);
}
