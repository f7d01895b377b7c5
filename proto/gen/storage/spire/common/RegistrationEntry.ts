// Original file: proto/spire/common/common.proto

import type { Selector as _spire_common_Selector, Selector__Output as _spire_common_Selector__Output } from '../../spire/common/Selector.ts';
import type { Long } from '@grpc/proto-loader';

export interface _spire_common_RegistrationEntry_AdditionalAttributes {
  'disable_x509_svid_prefetch'?: (boolean);
  'jwt_svid_include_jti'?: (boolean);
}

export interface _spire_common_RegistrationEntry_AdditionalAttributes__Output {
  'disable_x509_svid_prefetch': (boolean);
  'jwt_svid_include_jti': (boolean);
}

export interface RegistrationEntry {
  'selectors'?: readonly (_spire_common_Selector)[];
  'parent_id'?: (string);
  'spiffe_id'?: (string);
  'x509_svid_ttl'?: (number);
  'federates_with'?: readonly (string)[];
  'entry_id'?: (string);
  'admin'?: (boolean);
  'downstream'?: (boolean);
  'entryExpiry'?: (number | string | Long);
  'dns_names'?: readonly (string)[];
  'revision_number'?: (number | string | Long);
  'store_svid'?: (boolean);
  'jwt_svid_ttl'?: (number);
  'hint'?: (string);
  'created_at'?: (number | string | Long);
  'additional_attributes'?: (_spire_common_RegistrationEntry_AdditionalAttributes | null);
  '_additional_attributes'?: "additional_attributes";
}

export interface RegistrationEntry__Output {
  'selectors': (_spire_common_Selector__Output)[];
  'parent_id': (string);
  'spiffe_id': (string);
  'x509_svid_ttl': (number);
  'federates_with': (string)[];
  'entry_id': (string);
  'admin': (boolean);
  'downstream': (boolean);
  'entryExpiry': (string);
  'dns_names': (string)[];
  'revision_number': (string);
  'store_svid': (boolean);
  'jwt_svid_ttl': (number);
  'hint': (string);
  'created_at': (string);
  'additional_attributes'?: (_spire_common_RegistrationEntry_AdditionalAttributes__Output | null);
  '_additional_attributes'?: "additional_attributes";
}
