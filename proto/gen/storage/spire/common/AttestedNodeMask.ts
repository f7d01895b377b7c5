// Original file: proto/spire/common/common.proto


export interface AttestedNodeMask {
  'attestation_data_type'?: (boolean);
  'cert_serial_number'?: (boolean);
  'cert_not_after'?: (boolean);
  'new_cert_serial_number'?: (boolean);
  'new_cert_not_after'?: (boolean);
  'can_reattest'?: (boolean);
  'agent_version'?: (boolean);
}

export interface AttestedNodeMask__Output {
  'attestation_data_type': (boolean);
  'cert_serial_number': (boolean);
  'cert_not_after': (boolean);
  'new_cert_serial_number': (boolean);
  'new_cert_not_after': (boolean);
  'can_reattest': (boolean);
  'agent_version': (boolean);
}
