import { TokenReader } from './token-reader.ts';
import type { ConfigItem, ConfigList, ConfigNode, ConfigObject } from './tree.ts';

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * Parses a JSON document as HCL 1 does: duplicate keys add up, a comma may trail, and objects of objects and lists of
 * objects become the repeated, labelled blocks that they stand for.
 *
 * @throws FinialError `invalid-argument`: `file:line:column: what is wrong`
 */
export function parseJson(text: string, fileName: string): ConfigObject {
  const tokens = new TokenReader(text, fileName, 'json');
  const root = parseObject(tokens);
  if (tokens.token.kind !== 'end of file') tokens.failExpecting('the end of the file');
  return { ...root, items: root.items.flatMap(flattenItem) };
}

function parseValue(tokens: TokenReader): ConfigNode {
  const { kind, text, position } = tokens.token;
  if (kind === '{') return parseObject(tokens);
  if (kind === '[') return parseList(tokens);
  if (kind === 'identifier' && text === 'null') {
    tokens.step();
    return { kind: 'null', text: '', position };
  }
  const number = kind === 'integer' || kind === 'float';
  if (number && !NUMBER.test(text)) tokens.fail(`${text} is no JSON number`);
  if (!number && kind !== 'text' && kind !== 'boolean') return tokens.failExpecting('a value');
  tokens.step();
  return { kind, text, position };
}

function parseObject(tokens: TokenReader): ConfigObject {
  return tokens.nested((position) => {
    const items: ConfigItem[] = [];
    while (!tokens.accept('}')) {
      if (tokens.token.kind !== 'text') tokens.failExpecting('a quoted key or }');
      const key = tokens.step();
      if (!tokens.accept(':')) tokens.failExpecting(`: after ${JSON.stringify(key.text)}`);
      items.push({ keys: [{ name: key.text, position: key.position }], value: parseValue(tokens) });
      separate(tokens, '}');
    }
    return { kind: 'object', items, position };
  });
}

function parseList(tokens: TokenReader): ConfigList {
  return tokens.nested((position) => {
    const items: ConfigNode[] = [];
    while (!tokens.accept(']')) {
      items.push(parseValue(tokens));
      separate(tokens, ']');
    }
    return { kind: 'list', items, position };
  });
}

function separate(tokens: TokenReader, end: '}' | ']'): void {
  if (!tokens.accept(',') && tokens.token.kind !== end) tokens.failExpecting(`, or ${end}`);
}

/** `{"a": {"b": {…}}}` is `a "b" {…}`, and `{"a": [{…}, {…}]}` is `a {…} a {…}`. */
function flattenItem(item: ConfigItem): ConfigItem[] {
  const { keys, value } = item;
  if (value.kind === 'object' && value.items.length > 0 && value.items.every((sub) => sub.value.kind === 'object')) {
    return value.items.flatMap((sub) => flattenItem({ keys: [...keys, ...sub.keys], value: sub.value }));
  }
  if (value.kind === 'list' && value.items.length > 0 && value.items.every((element) => element.kind === 'object')) {
    return value.items.flatMap((element) => flattenItem({ keys, value: element }));
  }
  return [{ keys, value: flattenInside(value) }];
}

function flattenInside(value: ConfigNode): ConfigNode {
  if (value.kind === 'object') return { ...value, items: value.items.flatMap(flattenItem) };
  if (value.kind === 'list') return { ...value, items: value.items.map(flattenInside) };
  return value;
}
