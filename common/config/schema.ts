import { messageOf } from '../errors.ts';
import { parseDuration } from './duration.ts';
import { parseInteger } from './integer.ts';
import { Problems } from './problems.ts';
import {
  elementsOf,
  type Found,
  invalid,
  itemsOf,
  join,
  keyPosition,
  missing,
  present,
  quoted,
  reportUnknown,
  type Schema,
  scalarSchema,
} from './schema-core.ts';
import type { ConfigNode, Position } from './tree.ts';

export type { Schema } from './schema-core.ts';

/** The typed value that a schema yields. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

/**
 * Reads `node` as `schema` says.
 *
 * Whether something must be there: a bare scalar must; an absent section, list or set of labelled blocks reads as an
 * empty one; `optional` and `withDefault` allow absence, and `required` also refuses '', 0 and empty collections, which
 * in the reference's configuration mean "not set". JSON's null is absence everywhere.
 *
 * @param node undefined reads as absent
 * @param where the name before each key in messages, such as `server`; may be empty
 * @throws FinialError `invalid-argument` with one line per problem: `file:line: section.key: what is wrong`
 */
export function decode<T>(schema: Schema<T>, node: ConfigNode | undefined, where: string): T {
  const problems = new Problems();
  const found: Found[] = node === undefined ? [] : [{ labels: [], value: node, position: node.position }];
  const value = schema.read(found, { path: where, position: node?.position, problems });
  if (problems.count > 0 || value === invalid) throw problems.toError();
  return value;
}

/** Text; numbers and booleans are taken as they are spelled. */
export function string(): Schema<string> {
  return scalarSchema({ kind: 'text' }, (scalar) => scalar.text);
}

/** A whole number, also as text, in any base that Go's literals know (`0x1f`, `0b1`, `0o17`, `017`, `1_000`). */
export function integer(): Schema<number> {
  return scalarSchema({ kind: 'integer' }, (scalar) => {
    const value = scalar.kind === 'integer' || scalar.kind === 'text' ? parseInteger(scalar.text) : undefined;
    if (value === undefined) throw new Error(`must be a whole number, not ${quoted(scalar.text)}`);
    if (!Number.isSafeInteger(value)) throw new Error(`${scalar.text} is out of range`);
    return value;
  });
}

/** true, false, 1 or 0, also as text in any case. */
export function boolean(): Schema<boolean> {
  return scalarSchema({ kind: 'boolean' }, (scalar) => {
    const text = scalar.text.replaceAll('"', '').toLowerCase();
    if (text === 'true' || text === '1') return true;
    if (text === 'false' || text === '0') return false;
    throw new Error(`must be true or false, not ${quoted(scalar.text)}`);
  });
}

/** A Go duration such as `1h30m`, in milliseconds. */
export function duration(): Schema<number> {
  return scalarSchema({ kind: 'duration' }, (scalar) => {
    try {
      return parseDuration(scalar.text);
    } catch (error) {
      throw new Error(`must be a duration such as 1h30m (${messageOf(error)})`, { cause: error });
    }
  });
}

/** One of a few words, matched without regard to case when `anyCase` is set; yields the word as listed. */
export function choice<const W extends string>(
  words: readonly W[],
  options: { readonly anyCase?: boolean } = {},
): Schema<W> {
  const fold = (text: string): string => (options.anyCase === true ? text.toLowerCase() : text);
  return scalarSchema({ kind: 'choice', words }, (scalar) => {
    const word = words.find((one) => fold(one) === fold(scalar.text));
    if (word !== undefined) return word;
    throw new Error(`must be one of ${words.map(quoted).join(', ')}, not ${quoted(scalar.text)}`);
  });
}

/**
 * A list. Repeated blocks and repeated lists append; `key "label" { … }` and `key { label { … } }` are elements whose
 * label is dropped, as charts in the field write them.
 */
export function list<T>(element: Schema<T>): Schema<readonly T[]> {
  return {
    shape: { kind: 'list', element: element.shape },
    read(found, place) {
      const values: T[] = [];
      let failed = false;
      for (const [i, one] of elementsOf(found, place).entries()) {
        const value =
          one === invalid
            ? invalid
            : element.read([one], { ...place, path: `${place.path}[${i}]`, position: one.position });
        if (value === invalid) failed = true;
        else values.push(value);
      }
      return failed ? invalid : values;
    },
  };
}

/** The fields of a section by key. Each field is present in the result, `undefined` when optional and absent. */
export type ObjectOf<F extends Readonly<Record<string, Schema<unknown>>>> = { readonly [K in keyof F]: Infer<F[K]> };

/**
 * A section. Keys match without regard to case; a section that is given twice is read as one.
 *
 * @param options.unknown what to do with keys that are not listed; `reject` when absent
 */
export function object<F extends Readonly<Record<string, Schema<unknown>>>>(
  fields: F,
  options: { readonly unknown?: 'reject' | 'ignore' } = {},
): Schema<ObjectOf<F>> {
  const names = Object.keys(fields);
  const byFold = new Map(names.map((name) => [name.toLowerCase(), name]));
  return {
    shape: {
      kind: 'object',
      fields: Object.fromEntries(names.map((name) => [name, fields[name]?.shape ?? { kind: 'raw' }])),
    },
    read(found, place) {
      const items = itemsOf(found, place);
      if (items === invalid) return invalid;
      const byName = new Map<string, Found[]>(names.map((name) => [name, []]));
      let failed = false;
      for (const { keys, value } of items) {
        const [key, ...labels] = keys;
        if (key === undefined) continue;
        const name = byFold.get(key.name.toLowerCase());
        if (name !== undefined) byName.get(name)?.push({ labels, value, position: key.position });
        else if (options.unknown !== 'ignore') {
          failed = true;
          reportUnknown(key, names, place);
        }
      }
      const position = found[0]?.position ?? place.position;
      const entries: [string, unknown][] = [];
      for (const [name, schema] of Object.entries(fields)) {
        const value = schema.read(byName.get(name) ?? [], { ...place, path: join(place.path, name), position });
        if (value === invalid) failed = true;
        else entries.push([name, value]);
      }
      // The loop above has put a value of the field's own schema under each name of `fields`.
      return failed ? invalid : (Object.fromEntries(entries) as ObjectOf<F>);
    },
  };
}

/** One block of a labelled set. */
export interface Labelled<T> {
  readonly label: string;
  readonly position: Position;
  readonly value: T;
}

/** Blocks such as `profile "https_web" { … }`, also nested as `profile { https_web { … } }`, in order; a label given twice is read as one. */
export function labelled<T>(block: Schema<T>): Schema<readonly Labelled<T>[]> {
  return {
    shape: { kind: 'labelled', element: block.shape },
    read(found, place) {
      const items = itemsOf(found, place);
      if (items === invalid) return invalid;
      const blocks = new Map<string, { position: Position; found: Found[] }>();
      for (const { keys, value } of items) {
        const [key, ...labels] = keys;
        if (key === undefined) continue;
        const group = blocks.get(key.name) ?? { position: key.position, found: [] };
        group.found.push({ labels, value, position: key.position });
        blocks.set(key.name, group);
      }
      const values: Labelled<T>[] = [];
      for (const [label, group] of blocks) {
        const path = `${place.path}[${quoted(label)}]`;
        const value = block.read(group.found, { ...place, path, position: group.position });
        if (value !== invalid) values.push({ label, position: group.position, value });
      }
      return values.length === blocks.size ? values : invalid;
    },
  };
}

/** The subtree as it stands, to be decoded later by whoever owns its schema; of several the last. */
export function raw(): Schema<ConfigNode> {
  return {
    shape: { kind: 'raw' },
    read(found, place) {
      const last = found.findLast(present);
      if (last === undefined) return missing(place);
      if (last.labels.length === 0) return last.value;
      const items = found
        .filter(({ labels }) => labels.length > 0)
        .map(({ labels, value }) => ({ keys: labels, value }));
      return { kind: 'object', items, position: last.position };
    },
  };
}

/** Undefined when absent. */
export function optional<T>(schema: Schema<T>): Schema<T | undefined> {
  return {
    shape: { ...schema.shape, presence: 'optional' },
    read: (found, place) => (found.some(present) ? schema.read(found, place) : undefined),
  };
}

/** `value` when absent. */
export function withDefault<T>(schema: Schema<T>, value: T): Schema<T> {
  return {
    shape: { ...schema.shape, presence: 'optional', fallback: value },
    read: (found, place) => (found.some(present) ? schema.read(found, place) : value),
  };
}

/** Must be there and be more than '', 0 or an empty collection. */
export function required<T>(schema: Schema<T>): Schema<T> {
  return {
    shape: { ...schema.shape, presence: 'required' },
    read(found, place) {
      if (!found.some(present)) return missing(place);
      const value = schema.read(found, place);
      const zero = value === '' || value === 0 || (Array.isArray(value) && value.length === 0);
      return zero ? missing({ ...place, position: found.at(-1)?.position }) : value;
    },
  };
}

/** Text for operators, shown in the generated reference. */
export function describe<T>(schema: Schema<T>, help: string): Schema<T> {
  return { ...schema, shape: { ...schema.shape, help } };
}

/**
 * Refuses values for which `check` says what is wrong. Where the value is a section, the answer may name the key at
 * fault, whose place in the file is then shown.
 */
export function refine<T>(
  schema: Schema<T>,
  check: (value: T) => string | { readonly key: string; readonly problem: string } | undefined,
): Schema<T> {
  return {
    shape: schema.shape,
    read(found, place) {
      const value = schema.read(found, place);
      if (value === invalid) return invalid;
      const wrong = check(value);
      if (wrong === undefined) return value;
      const position = found.at(-1)?.position ?? place.position;
      if (typeof wrong === 'string') place.problems.add(position, place.path, wrong);
      else place.problems.add(keyPosition(found, wrong.key) ?? position, join(place.path, wrong.key), wrong.problem);
      return invalid;
    },
  };
}

/** Turns the value into another; what `change` throws becomes the problem. */
export function convert<T, U>(schema: Schema<T>, change: (value: T) => U): Schema<U> {
  return {
    shape: schema.shape,
    read(found, place) {
      const value = schema.read(found, place);
      if (value === invalid) return invalid;
      try {
        return change(value);
      } catch (error) {
        place.problems.add(found.at(-1)?.position ?? place.position, place.path, messageOf(error));
        return invalid;
      }
    },
  };
}
