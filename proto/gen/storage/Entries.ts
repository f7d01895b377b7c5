// Original file: proto/private/server/journal/journal.proto

import type { X509CAEntry as _X509CAEntry, X509CAEntry__Output as _X509CAEntry__Output } from './X509CAEntry.ts';
import type { JWTKeyEntry as _JWTKeyEntry, JWTKeyEntry__Output as _JWTKeyEntry__Output } from './JWTKeyEntry.ts';
import type { WITKeyEntry as _WITKeyEntry, WITKeyEntry__Output as _WITKeyEntry__Output } from './WITKeyEntry.ts';

export interface Entries {
  'x509CAs'?: readonly (_X509CAEntry)[];
  'jwtKeys'?: readonly (_JWTKeyEntry)[];
  'witKeys'?: readonly (_WITKeyEntry)[];
}

export interface Entries__Output {
  'x509CAs': (_X509CAEntry__Output)[];
  'jwtKeys': (_JWTKeyEntry__Output)[];
  'witKeys': (_WITKeyEntry__Output)[];
}
