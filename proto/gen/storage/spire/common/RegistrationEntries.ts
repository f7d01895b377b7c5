// Original file: proto/spire/common/common.proto

import type { RegistrationEntry as _spire_common_RegistrationEntry, RegistrationEntry__Output as _spire_common_RegistrationEntry__Output } from '../../spire/common/RegistrationEntry.ts';

export interface RegistrationEntries {
  'entries'?: readonly (_spire_common_RegistrationEntry)[];
}

export interface RegistrationEntries__Output {
  'entries': (_spire_common_RegistrationEntry__Output)[];
}
