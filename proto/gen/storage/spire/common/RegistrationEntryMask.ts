// Original file: proto/spire/common/common.proto


export interface RegistrationEntryMask {
  'selectors'?: (boolean);
  'parent_id'?: (boolean);
  'spiffe_id'?: (boolean);
  'x509_svid_ttl'?: (boolean);
  'federates_with'?: (boolean);
  'entry_id'?: (boolean);
  'admin'?: (boolean);
  'downstream'?: (boolean);
  'entryExpiry'?: (boolean);
  'dns_names'?: (boolean);
  'store_svid'?: (boolean);
  'jwt_svid_ttl'?: (boolean);
  'hint'?: (boolean);
  'additional_attributes'?: (boolean);
}

export interface RegistrationEntryMask__Output {
  'selectors': (boolean);
  'parent_id': (boolean);
  'spiffe_id': (boolean);
  'x509_svid_ttl': (boolean);
  'federates_with': (boolean);
  'entry_id': (boolean);
  'admin': (boolean);
  'downstream': (boolean);
  'entryExpiry': (boolean);
  'dns_names': (boolean);
  'store_svid': (boolean);
  'jwt_svid_ttl': (boolean);
  'hint': (boolean);
  'additional_attributes': (boolean);
}
