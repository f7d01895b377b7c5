// Original file: proto/private/server/journal/journal.proto

import type { Status as _Status, Status__Output as _Status__Output } from './Status.ts';
import type { Long } from '@grpc/proto-loader';

export interface WITKeyEntry {
  'slot_id'?: (string);
  'issued_at'?: (number | string | Long);
  'not_after'?: (number | string | Long);
  'kid'?: (string);
  'public_key'?: (Buffer | Uint8Array | string);
  'status'?: (_Status);
  'authority_id'?: (string);
}

export interface WITKeyEntry__Output {
  'slot_id': (string);
  'issued_at': (string);
  'not_after': (string);
  'kid': (string);
  'public_key': (Buffer);
  'status': (_Status__Output);
  'authority_id': (string);
}
