// Original file: proto/spire/common/common.proto

import type { Certificate as _spire_common_Certificate, Certificate__Output as _spire_common_Certificate__Output } from '../../spire/common/Certificate.ts';
import type { PublicKey as _spire_common_PublicKey, PublicKey__Output as _spire_common_PublicKey__Output } from '../../spire/common/PublicKey.ts';
import type { Long } from '@grpc/proto-loader';

export interface Bundle {
  'trust_domain_id'?: (string);
  'root_cas'?: readonly (_spire_common_Certificate)[];
  'jwt_signing_keys'?: readonly (_spire_common_PublicKey)[];
  'refresh_hint'?: (number | string | Long);
  'sequence_number'?: (number | string | Long);
  'wit_signing_keys'?: readonly (_spire_common_PublicKey)[];
}

export interface Bundle__Output {
  'trust_domain_id': (string);
  'root_cas': (_spire_common_Certificate__Output)[];
  'jwt_signing_keys': (_spire_common_PublicKey__Output)[];
  'refresh_hint': (string);
  'sequence_number': (string);
  'wit_signing_keys': (_spire_common_PublicKey__Output)[];
}
