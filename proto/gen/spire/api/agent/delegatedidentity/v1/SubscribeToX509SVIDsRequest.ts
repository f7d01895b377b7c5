// Original file: proto/spire/api/agent/delegatedidentity/v1/delegatedidentity.proto

import type { Selector as _spire_api_types_Selector, Selector__Output as _spire_api_types_Selector__Output } from '../../../../../spire/api/types/Selector.ts';

export interface SubscribeToX509SVIDsRequest {
  'selectors'?: readonly (_spire_api_types_Selector)[];
  'pid'?: (number);
}

export interface SubscribeToX509SVIDsRequest__Output {
  'selectors': (_spire_api_types_Selector__Output)[];
  'pid': (number);
}
