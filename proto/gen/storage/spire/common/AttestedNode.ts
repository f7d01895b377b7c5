// Original file: proto/spire/common/common.proto

import type { Selector as _spire_common_Selector, Selector__Output as _spire_common_Selector__Output } from '../../spire/common/Selector.ts';
import type { Long } from '@grpc/proto-loader';

export interface AttestedNode {
  'spiffe_id'?: (string);
  'attestation_data_type'?: (string);
  'cert_serial_number'?: (string);
  'cert_not_after'?: (number | string | Long);
  'new_cert_serial_number'?: (string);
  'new_cert_not_after'?: (number | string | Long);
  'selectors'?: readonly (_spire_common_Selector)[];
  'can_reattest'?: (boolean);
  'agent_version'?: (string);
}

export interface AttestedNode__Output {
  'spiffe_id': (string);
  'attestation_data_type': (string);
  'cert_serial_number': (string);
  'cert_not_after': (string);
  'new_cert_serial_number': (string);
  'new_cert_not_after': (string);
  'selectors': (_spire_common_Selector__Output)[];
  'can_reattest': (boolean);
  'agent_version': (string);
}
