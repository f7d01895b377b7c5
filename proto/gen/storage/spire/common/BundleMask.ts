// Original file: proto/spire/common/common.proto


export interface BundleMask {
  'root_cas'?: (boolean);
  'jwt_signing_keys'?: (boolean);
  'refresh_hint'?: (boolean);
  'sequence_number'?: (boolean);
  'x509_tainted_keys'?: (boolean);
  'wit_signing_keys'?: (boolean);
}

export interface BundleMask__Output {
  'root_cas': (boolean);
  'jwt_signing_keys': (boolean);
  'refresh_hint': (boolean);
  'sequence_number': (boolean);
  'x509_tainted_keys': (boolean);
  'wit_signing_keys': (boolean);
}
