import { messageOf } from '../../common/errors.ts';
import type { SelectorMatch } from '../../proto/gen/spire/api/types/SelectorMatch.ts';
import type { SPIFFEID } from '../../proto/gen/spire/api/types/SPIFFEID.ts';
import { parseSpiffeId, pathOf, trustDomainOf } from '../../spiffe/id.ts';
import { commandFailure } from '../failure.ts';

/** A SPIFFE ID from a flag, as requests carry it. @throws FinialError with `context: ` before what is wrong */
export function idFromFlag(value: string, context = ''): SPIFFEID {
  try {
    const id = parseSpiffeId(value);
    return { trust_domain: trustDomainOf(id), path: pathOf(id) };
  } catch (error) {
    throw commandFailure(context === '' ? messageOf(error) : `${context} "${value}": ${messageOf(error)}`);
  }
}

/** A selector from a flag, split at the first colon. @throws FinialError */
export function selectorFromFlag(value: string): { type: string; value: string } {
  const colon = value.indexOf(':');
  if (colon < 0) throw commandFailure(`selector "${value}" must be formatted as type:value`);
  return { type: value.slice(0, colon), value: value.slice(colon + 1) };
}

const MATCHES = {
  exact: 'MATCH_EXACT',
  any: 'MATCH_ANY',
  superset: 'MATCH_SUPERSET',
  subset: 'MATCH_SUBSET',
} as const;

/** How sets relate, from a flag. @throws FinialError with `unknown`, or the reference's words */
export function matchFromFlag(
  value: string,
  unknown = `match behavior "${value}" unknown`,
): (typeof MATCHES)[keyof typeof MATCHES] {
  if (!Object.hasOwn(MATCHES, value)) throw commandFailure(unknown);
  return MATCHES[value as keyof typeof MATCHES];
}

export function selectorMatchFromFlags(selectors: readonly string[], match: string): SelectorMatch {
  return { match: matchFromFlag(match), selectors: selectors.map(selectorFromFlag) };
}

/** Lifetimes and the like are int32 on the wire. @throws FinialError */
export function int32FromFlag(value: number, name: string): number {
  if (value > 2 ** 31 - 1 || value < -(2 ** 31))
    throw commandFailure(`invalid value for ${name}: ${value} is out of range`);
  return value;
}
