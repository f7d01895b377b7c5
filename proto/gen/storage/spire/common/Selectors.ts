// Original file: proto/spire/common/common.proto

import type { Selector as _spire_common_Selector, Selector__Output as _spire_common_Selector__Output } from '../../spire/common/Selector.ts';

export interface Selectors {
  'entries'?: readonly (_spire_common_Selector)[];
}

export interface Selectors__Output {
  'entries': (_spire_common_Selector__Output)[];
}
