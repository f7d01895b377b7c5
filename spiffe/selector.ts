import { SpiffeError } from './error.ts';

/** One fact about a workload or node that an attestor vouches for, such as `unix:uid:1000`. */
export interface Selector {
  /** Name of the attestor; never contains a colon. */
  readonly type: string;
  /** Anything but empty; may contain colons. */
  readonly value: string;
}

/** The text form `type:value`. Unambiguous, as a type has no colon, and so also the key of a selector in sets. */
export function formatSelector(selector: Selector): string {
  return `${selector.type}:${selector.value}`;
}

/**
 * Reads `type:value`, split at the first colon.
 *
 * @throws SpiffeError `invalid-selector`; the message does not repeat the text, which may hold a secret.
 */
export function parseSelector(text: string): Selector {
  const colon = text.indexOf(':');
  if (colon < 0) throw new SpiffeError('invalid-selector', 'selector must be formatted as type:value');
  return selector(text.slice(0, colon), text.slice(colon + 1));
}

/** @throws SpiffeError `invalid-selector` with the reference's own words, which clients match. */
export function selector(type: string, value: string): Selector {
  if (type === '') throw new SpiffeError('invalid-selector', 'missing selector type');
  if (type.includes(':')) throw new SpiffeError('invalid-selector', "selector type contains ':'");
  if (value === '') throw new SpiffeError('invalid-selector', 'missing selector value');
  return { type, value };
}

/** The text forms of `selectors` as a set, for the set questions of matching and filters. */
export function selectorKeys(selectors: Iterable<Selector>): Set<string> {
  const keys = new Set<string>();
  for (const one of selectors) keys.add(formatSelector(one));
  return keys;
}
