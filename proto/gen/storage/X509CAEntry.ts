// Original file: proto/private/server/journal/journal.proto

import type { Status as _Status, Status__Output as _Status__Output } from './Status.ts';
import type { Long } from '@grpc/proto-loader';

export interface X509CAEntry {
  'slot_id'?: (string);
  'issued_at'?: (number | string | Long);
  'certificate'?: (Buffer | Uint8Array | string);
  'upstream_chain'?: readonly (Buffer | Uint8Array | string)[];
  'status'?: (_Status);
  'authority_id'?: (string);
  'not_after'?: (number | string | Long);
  'upstream_authority_id'?: (string);
}

export interface X509CAEntry__Output {
  'slot_id': (string);
  'issued_at': (string);
  'certificate': (Buffer);
  'upstream_chain': (Buffer)[];
  'status': (_Status__Output);
  'authority_id': (string);
  'not_after': (string);
  'upstream_authority_id': (string);
}
