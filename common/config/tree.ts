/** Where something stands in a configuration; `line` and `column` count from 1 and are 0 for what no file holds. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A key or a label, and where it stands. */
export interface ConfigKey {
  readonly name: string;
  readonly position: Position;
}

/**
 * A text, number or boolean as written. `text` is the content of a text (escapes resolved) and the spelling of anything
 * else, so that each can be read as each other as Go's decoder does. JSON's null is its own kind.
 */
export interface ConfigScalar {
  readonly kind: 'text' | 'integer' | 'float' | 'boolean' | 'null';
  readonly text: string;
  readonly position: Position;
}

/** Values in brackets. */
export interface ConfigList {
  readonly kind: 'list';
  readonly items: readonly ConfigNode[];
  readonly position: Position;
}

/** One `key = value` or `key "label" { … }`; `keys` is the key and its labels, never empty. */
export interface ConfigItem {
  readonly keys: readonly ConfigKey[];
  readonly value: ConfigNode;
}

/** Items in the order of the text; a key may occur more than once. */
export interface ConfigObject {
  readonly kind: 'object';
  readonly items: readonly ConfigItem[];
  readonly position: Position;
}

/** Anything that can be the value of a key. */
export type ConfigNode = ConfigScalar | ConfigList | ConfigObject;

/** `file:line`, or only the source where there is no line. */
export function formatPosition(position: Position): string {
  return position.line === 0 ? position.file : `${position.file}:${position.line}`;
}

/** A value that did not come from the file, such as a command line flag. */
export interface Override {
  readonly value: string | number | boolean;
  /** Named in messages instead of file and line, such as `flag -bindAddress`. */
  readonly source: string;
}

/**
 * The tree with values that win over the file's. As in the reference, an override that is empty, 0 or false changes
 * nothing: a flag cannot blank what the file sets.
 *
 * @param section the top-level section that holds the keys
 */
export function withOverrides(
  root: ConfigObject,
  section: string,
  overrides: Readonly<Record<string, Override>>,
): ConfigObject {
  const items = Object.entries(overrides)
    .filter(([, { value }]) => value !== '' && value !== 0 && value !== false)
    .map(([name, override]) => overrideItem(name, override));
  const first = items[0];
  if (first === undefined) return root;
  const { position } = first.value;
  const added: ConfigItem = {
    keys: [{ name: section, position }],
    value: { kind: 'object', items, position: sectionPosition(root, section) ?? position },
  };
  return { ...root, items: [...root.items, added] };
}

/** The overrides that command line flags make; a flag that was not given makes none. */
export function flagOverrides<Name extends string>(
  keyOfFlag: Readonly<Record<Name, string>>,
  flags: { readonly [Flag in Name]?: Override['value'] | undefined },
): Record<string, Override> {
  const overrides: Record<string, Override> = {};
  for (const name of Object.keys(keyOfFlag) as Name[]) {
    const value = flags[name];
    if (value !== undefined) overrides[keyOfFlag[name]] = { value, source: `flag -${name}` };
  }
  return overrides;
}

function overrideItem(name: string, { value, source }: Override): ConfigItem {
  const position: Position = { file: source, line: 0, column: 0 };
  const kind = typeof value === 'string' ? 'text' : typeof value === 'number' ? 'integer' : 'boolean';
  return { keys: [{ name, position }], value: { kind, text: String(value), position } };
}

function sectionPosition(root: ConfigObject, section: string): Position | undefined {
  return root.items.find(({ keys }) => keys[0]?.name.toLowerCase() === section.toLowerCase())?.keys[0]?.position;
}
