// Original file: proto/spire/api/server/trustdomain/v1/trustdomain.proto


export interface BatchDeleteFederationRelationshipRequest {
  'trust_domains'?: readonly (string)[];
}

export interface BatchDeleteFederationRelationshipRequest__Output {
  'trust_domains': (string)[];
}
