import { FinialError } from '../errors.ts';
import type { Position } from './tree.ts';

type TokenKind =
  | 'identifier'
  | 'text'
  | 'integer'
  | 'float'
  | 'boolean'
  | '{'
  | '}'
  | '['
  | ']'
  | ','
  | '='
  | ':'
  | 'end of file';

/** The smallest piece of a configuration text that means something. */
export interface Token {
  readonly kind: TokenKind;
  /** The content of a text, otherwise the spelling. */
  readonly text: string;
  readonly position: Position;
}

/** How text is quoted: HCL lets `${…}` pass as it is, over lines and with quotes inside; JSON does not. */
export type Language = 'hcl' | 'json';

/** More would not be a configuration; the bound keeps a wrong file from costing more than its reading. */
const MAX_CHARACTERS = 8 * 1024 * 1024;

const SPACE = /[ \t\r\n]+/y;
const LINE_COMMENT = /(?:#|\/\/)[^\n]*/y;
const IDENTIFIER = /[\p{L}_][\p{L}\p{Nd}_.-]*/uy;
const NUMBER = /-?(?:0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)/y;
const PLAIN_TEXT = /[^"\\\n$]+/y;
const HEREDOC_START = /<<(-?)([\p{L}_\p{Nd}]+)\r?\n/uy;
const ESCAPE = /\\(?:[abfnrtv\\"/]|[0-7]{3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})/y;
const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
const PUNCTUATION: ReadonlySet<string> = new Set(['{', '}', '[', ']', ',', '=', ':']);

/** Splits a configuration into tokens, in time linear in its length. */
export class Scanner {
  readonly #text: string;
  readonly #file: string;
  readonly #language: Language;
  #at = 0;
  #line = 1;
  #lineStart = 0;

  /** @throws FinialError `invalid-argument` when the text is too long */
  constructor(text: string, file: string, language: Language) {
    // Line ends inside texts are part of a value, and must not depend on the editor.
    this.#text = text.replaceAll('\r\n', '\n');
    this.#file = file;
    this.#language = language;
    if (text.length > MAX_CHARACTERS) {
      throw new FinialError('invalid-argument', `${file}: longer than ${MAX_CHARACTERS} characters`);
    }
  }

  /** @throws FinialError `invalid-argument`: `file:line:column: what is wrong` */
  next(): Token {
    this.#skip();
    const position = this.#position();
    const token = (kind: TokenKind, text: string): Token => ({ kind, text, position });
    const char = this.#text[this.#at];
    if (char === undefined) return token('end of file', '');
    if (char === '"') return token('text', this.#quoted(position));
    if (char === '<' && this.#language === 'hcl') return token('text', this.#heredoc(position));
    const word = this.#take(IDENTIFIER);
    if (word !== '') return token(word === 'true' || word === 'false' ? 'boolean' : 'identifier', word);
    const number = this.#take(NUMBER);
    if (number !== '') return token(this.#numberKind(number, position), number);
    if (!PUNCTUATION.has(char)) return this.fail(position, `unexpected character ${JSON.stringify(this.#character())}`);
    this.#at += 1;
    return token(char as TokenKind, char);
  }

  fail(position: Position, what: string): never {
    const where = `${position.file}:${position.line}:${position.column}`;
    throw new FinialError('invalid-argument', `${where}: ${what}`);
  }

  #position(): Position {
    return { file: this.#file, line: this.#line, column: this.#at - this.#lineStart + 1 };
  }

  #character(): string {
    return String.fromCodePoint(this.#text.codePointAt(this.#at) ?? 0);
  }

  /** The match of a sticky pattern here, stepped over; '' when there is none. */
  #take(pattern: RegExp): string {
    const match = this.#match(pattern)?.[0] ?? '';
    this.#advance(match.length);
    return match;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text);
  }

  #advance(length: number): void {
    const end = this.#at + length;
    // Only in what is passed: a search to the end of the text at each step would make long lines quadratic.
    const passed = this.#text.slice(this.#at, end);
    for (let at = passed.indexOf('\n'); at !== -1; at = passed.indexOf('\n', at + 1)) {
      this.#line += 1;
      this.#lineStart = this.#at + at + 1;
    }
    this.#at = end;
  }

  #skip(): void {
    for (;;) {
      this.#take(SPACE);
      if (this.#language === 'json') return;
      if (this.#text.startsWith('/*', this.#at)) this.#skipBlockComment();
      else if (this.#take(LINE_COMMENT) === '') return;
    }
  }

  #skipBlockComment(): void {
    const end = this.#text.indexOf('*/', this.#at + 2);
    if (end === -1) this.fail(this.#position(), 'comment without its end: */');
    this.#advance(end + 2 - this.#at);
  }

  #numberKind(number: string, position: Position): 'integer' | 'float' {
    const rest = this.#match(IDENTIFIER)?.[0] ?? '';
    if (rest !== '') this.fail(position, `${number}${rest} must be quoted: "${number}${rest}"`);
    if (/^-?0[xX]/.test(number)) return 'integer';
    if (/[.eE]/.test(number)) return 'float';
    return /^-?0\d*[89]/.test(number) ? this.fail(position, `${number} is no octal number`) : 'integer';
  }

  #quoted(start: Position): string {
    this.#at += 1;
    let content = '';
    for (;;) {
      content += this.#take(PLAIN_TEXT);
      const char = this.#text[this.#at];
      if (char === undefined || char === '\n') return this.fail(start, 'text without its closing quote');
      if (char === '"') {
        this.#at += 1;
        return content;
      }
      if (char === '\\') content += this.#escape().value;
      else if (this.#language === 'hcl' && this.#text.startsWith('${', this.#at)) content += this.#interpolation(start);
      else {
        content += char;
        this.#at += 1;
      }
    }
  }

  /** `${ … }` up to its brace, as written; HCL 1 leaves its meaning to others. */
  #interpolation(start: Position): string {
    const from = this.#at;
    let depth = 1;
    for (this.#at += 2; depth > 0; ) {
      const char = this.#text[this.#at];
      if (char === undefined) return this.fail(start, 'text without its closing quote: ${ is not closed by }');
      if (char === '\\') this.#escape();
      else this.#advance(1);
      if (char === '{') depth += 1;
      if (char === '}') depth -= 1;
    }
    return this.#text.slice(from, this.#at);
  }

  #escape(): { readonly value: string } {
    const position = this.#position();
    const escape = this.#take(ESCAPE).slice(1);
    const [first = ''] = escape;
    if (escape === '' || (first === '/' && this.#language === 'hcl')) return this.fail(position, 'unknown escape');
    if (escape.length === 1) return { value: SHORT_ESCAPES[first] ?? first };
    const code = /[0-7]/.test(first) ? Number.parseInt(escape, 8) : Number.parseInt(escape.slice(1), 16);
    if ((first === 'x' || /[0-7]/.test(first)) && code > 0x7f) {
      return this.fail(position, 'escapes of single bytes end at \\x7f; write the character or \\u and its code');
    }
    if (code > 0x10ffff) return this.fail(position, 'no such character');
    // JSON spells what lies beyond 16 bits as two surrogates, which join by themselves.
    return { value: first === 'u' ? String.fromCharCode(code) : String.fromCodePoint(code) };
  }

  /** `<<NAME`, lines, `NAME`; with `<<-` the indentation of the last line is taken from each line that all have it. */
  #heredoc(start: Position): string {
    const [intro = '', dash = '', name = ''] = this.#match(HEREDOC_START) ?? [];
    if (intro === '') return this.fail(start, 'a heredoc begins with << and a name at the end of the line');
    this.#advance(intro.length);
    const last = new RegExp(`^([\\t\\v\\f\\r ]*)${name}\\r*$`, 'u');
    const lines: string[] = [];
    while (this.#at < this.#text.length) {
      const end = this.#text.indexOf('\n', this.#at);
      const line = this.#text.slice(this.#at, end === -1 ? undefined : end);
      this.#advance(line.length + (end === -1 ? 0 : 1));
      const indent = last.exec(line)?.[1];
      if (indent !== undefined) return heredocText(lines, indent, dash !== '');
      lines.push(line);
    }
    return this.fail(start, `heredoc without its end: a line with only ${name}`);
  }
}

function heredocText(lines: readonly string[], indent: string, unindent: boolean): string {
  const all = unindent && lines.every((line) => line.startsWith(indent));
  const body = lines.map((line) => `${all ? line.slice(indent.length) : line}\n`).join('');
  return unindent ? body : body + indent;
}
