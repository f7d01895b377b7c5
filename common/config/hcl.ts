import { parseJson } from './json.ts';
import { TokenReader } from './token-reader.ts';
import type { ConfigItem, ConfigKey, ConfigList, ConfigNode, ConfigObject } from './tree.ts';

/**
 * Parses a configuration: HCL version 1, or JSON when the first character is `{`, as HCL 1 reads it.
 *
 * @param fileName only for messages and positions
 * @throws FinialError `invalid-argument`: `file:line:column: what is wrong`
 */
export function parseConfigText(text: string, fileName: string): ConfigObject {
  return /^\s*\{/.test(text) ? parseJson(text, fileName) : parseHcl(text, fileName);
}

function parseHcl(text: string, fileName: string): ConfigObject {
  const items = parseItems(new TokenReader(text, fileName, 'hcl'), 'end of file');
  return { kind: 'object', items, position: { file: fileName, line: 1, column: 1 } };
}

/** Items up to, and with, the token that ends them. A comma may follow each. */
function parseItems(tokens: TokenReader, end: '}' | 'end of file'): ConfigItem[] {
  const items: ConfigItem[] = [];
  while (tokens.token.kind !== end) {
    items.push(parseItem(tokens));
    tokens.accept(',');
  }
  if (end === '}') tokens.step();
  return items;
}

function parseItem(tokens: TokenReader): ConfigItem {
  const keys: ConfigKey[] = [];
  while (tokens.token.kind === 'identifier' || tokens.token.kind === 'text') {
    const { text, position } = tokens.step();
    keys.push({ name: text, position });
  }
  if (keys.length === 0) tokens.failExpecting('a key');
  const names = keys.map(({ name }) => name).join(' ');
  if (tokens.token.kind === '{') return { keys, value: parseObject(tokens) };
  if (tokens.token.kind !== '=') tokens.failExpecting(`= or { after the key ${names}`);
  if (keys.length > 1) tokens.fail(`${names}: a block with labels takes { without =`);
  tokens.step();
  return { keys, value: parseValue(tokens) };
}

function parseValue(tokens: TokenReader): ConfigNode {
  const { kind, text, position } = tokens.token;
  if (kind === '{') return parseObject(tokens);
  if (kind === '[') return parseList(tokens);
  if (kind === 'identifier') return tokens.fail(`${text} must be quoted: "${text}"`);
  if (kind !== 'text' && kind !== 'integer' && kind !== 'float' && kind !== 'boolean') {
    return tokens.failExpecting('a value');
  }
  tokens.step();
  return { kind, text, position };
}

function parseObject(tokens: TokenReader): ConfigObject {
  return tokens.nested((position) => ({ kind: 'object', items: parseItems(tokens, '}'), position }));
}

function parseList(tokens: TokenReader): ConfigList {
  return tokens.nested((position) => {
    const items: ConfigNode[] = [];
    for (;;) {
      while (tokens.accept(','));
      if (tokens.accept(']')) return { kind: 'list', items, position };
      items.push(parseValue(tokens));
      if (tokens.token.kind !== ',' && tokens.token.kind !== ']') tokens.failExpecting(', or ]');
    }
  });
}
