import { messageOf } from '../errors.ts';
import { closest, type Problems } from './problems.ts';
import type { ConfigItem, ConfigKey, ConfigNode, ConfigScalar, Position } from './tree.ts';

/** What a schema accepts, as data for generated documentation. */
export type Shape = (
  | { readonly kind: 'text' | 'integer' | 'boolean' | 'duration' | 'raw' }
  | { readonly kind: 'choice'; readonly words: readonly string[] }
  | { readonly kind: 'list' | 'labelled'; readonly element: Shape }
  | { readonly kind: 'object'; readonly fields: Readonly<Record<string, Shape>> }
) & {
  readonly presence?: 'optional' | 'required';
  /** The value when absent. */
  readonly fallback?: unknown;
  readonly help?: string;
};

/** One value found for a key: the labels between the key and the value, and where the key stands. */
export interface Found {
  readonly labels: readonly ConfigKey[];
  readonly value: ConfigNode;
  readonly position: Position;
}

/** Where a schema is reading. `position` is the enclosing section's, for what is missing in it. */
export interface Place {
  readonly path: string;
  readonly position: Position | undefined;
  readonly problems: Problems;
}

/** Yielded instead of a value when a problem was reported. */
export const invalid: unique symbol = Symbol('invalid');
/** The type of `invalid`. */
export type Invalid = typeof invalid;

/** Reads a typed value out of a configuration tree. Made by the combinators of `schema.ts`. */
export interface Schema<T> {
  readonly shape: Shape;
  /** @param found every value of the key in the order of the text; none when absent */
  read(found: readonly Found[], place: Place): T | Invalid;
}

/** A key that is there with JSON's null is absent. */
export function present(found: Found): boolean {
  return found.value.kind !== 'null';
}

/** Reports a key that has to be there. */
export function missing(place: Place): Invalid {
  place.problems.add(place.position, place.path, 'must be configured');
  return invalid;
}

/** The path of a key below a section, as messages name it. */
export function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

/** A text from the file as messages show it. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

/**
 * A schema of one scalar. Of several the last counts, but each must be well-formed.
 *
 * @param parse throws an Error that says what is wrong
 */
export function scalarSchema<T>(shape: Shape, parse: (scalar: ConfigScalar) => T): Schema<T> {
  const readOne = (one: Found, place: Place): T | Invalid => {
    const { value, labels, position } = one;
    if (labels.length > 0 || value.kind === 'object' || value.kind === 'list') {
      place.problems.add(
        position,
        place.path,
        `must be a single value, not a ${value.kind === 'list' ? 'list' : 'block'}`,
      );
      return invalid;
    }
    try {
      return parse(value);
    } catch (error) {
      place.problems.add(position, place.path, messageOf(error));
      return invalid;
    }
  };
  return {
    shape,
    read(found, place) {
      const values = found.filter(present).map((one) => readOne(one, place));
      if (values.length === 0) return missing(place);
      if (values.includes(invalid)) return invalid;
      return values.at(-1) ?? invalid;
    },
  };
}

/** The items of a section that may be given in parts: `a { x = 1 }` and `a "x" { … }` both add to `a`. */
export function itemsOf(found: readonly Found[], place: Place): readonly ConfigItem[] | Invalid {
  const items: ConfigItem[] = [];
  let failed = false;
  for (const { labels, value, position } of found) {
    if (labels.length > 0) items.push({ keys: labels, value });
    else if (value.kind === 'object') items.push(...value.items);
    else if (value.kind !== 'null') {
      failed = true;
      place.problems.add(position, place.path, 'must be a block: { … }');
    }
  }
  return failed ? invalid : items;
}

/** The elements of a list that may be given in parts, each as a value of its own. */
export function elementsOf(found: readonly Found[], place: Place): readonly (Found | Invalid)[] {
  return found.flatMap(({ labels, value, position }): (Found | Invalid)[] => {
    if (labels.length > 0) return [{ labels: labels.slice(1), value, position }];
    if (value.kind === 'null') return [];
    if (value.kind === 'list') return value.items.map((item) => ({ labels: [], value: item, position: item.position }));
    if (value.kind === 'object') return blocksOf(value.items) ?? [{ labels: [], value, position }];
    place.problems.add(position, place.path, 'must be a list: [ … ]');
    return [invalid];
  });
}

/** The blocks of an object that holds nothing else, without their first label. */
function blocksOf(items: readonly ConfigItem[]): Found[] | undefined {
  const blocks = items.flatMap(({ keys, value }): Found[] => {
    const [key, ...labels] = keys;
    return key !== undefined && value.kind === 'object' ? [{ labels, value, position: key.position }] : [];
  });
  return items.length > 0 && blocks.length === items.length ? blocks : undefined;
}

/** Reports a key that nobody reads, with the known one that looks most like it. */
export function reportUnknown(key: ConfigKey, known: readonly string[], place: Place): void {
  const near = closest(key.name, known);
  const hint = near === undefined ? '' : `; did you mean ${quoted(near)}?`;
  place.problems.add(key.position, join(place.path, key.name), `unknown configuration key${hint}`);
}

/** Where `key` stands in the section, if it does. */
export function keyPosition(found: readonly Found[], key: string): Position | undefined {
  const items = found.flatMap(({ value }) => (value.kind === 'object' ? value.items : []));
  return items.findLast(({ keys }) => keys[0]?.name.toLowerCase() === key.toLowerCase())?.keys[0]?.position;
}
