import type { SetMatch } from '../../../plugins/datastore/sql/contract.ts';
import type { SelectorMatch__Output } from '../../../proto/gen/spire/api/types/SelectorMatch.ts';
import type { Selector__Output } from '../../../proto/gen/spire/api/types/Selector.ts';
import { FinialError } from '../../../common/errors.ts';
import { type Selector, selector } from '../../../spiffe/selector.ts';

/** @throws SpiffeError naming the rule; selectors are not repeated */
export function selectorsFromProto(messages: readonly Selector__Output[]): Selector[] {
  return messages.map(({ type, value }) => selector(type, value));
}

const setMatches = {
  MATCH_EXACT: 'exact',
  MATCH_SUBSET: 'subset',
  MATCH_SUPERSET: 'superset',
  MATCH_ANY: 'any',
} as const satisfies Record<string, SetMatch>;

/** @param match the name of the enum's value, or a number that a newer client sent */
export function setMatchFromProto(match: string): SetMatch {
  if (Object.hasOwn(setMatches, match)) return setMatches[match as keyof typeof setMatches];
  throw new FinialError('invalid-argument', `unhandled match behavior "${match}"`);
}

/** How selectors are compared in a filter. */
export function selectorMatchFromProto(message: SelectorMatch__Output): {
  readonly match: SetMatch;
  readonly selectors: readonly Selector[];
} {
  return { selectors: selectorsFromProto(message.selectors), match: setMatchFromProto(message.match) };
}

/** The page of a listing; absent when the request asks for everything at once. */
export function pageFromProto(request: { readonly page_size: number; readonly page_token: string }): {
  page?: { size: number; token: string };
} {
  return request.page_size > 0 ? { page: { size: request.page_size, token: request.page_token } } : {};
}
