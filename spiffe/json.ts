/** What JSON text says. Objects have no prototype. `Big` is `bigint` where integers are read as such. */
export type JsonValue<Big = never> =
  | null
  | boolean
  | number
  | Big
  | string
  | readonly JsonValue<Big>[]
  | JsonObject<Big>;

/** A JSON object. */
export interface JsonObject<Big = never> {
  readonly [name: string]: JsonValue<Big>;
}

/** Why a text is not acceptable JSON. The message names the rule and the offset, never the text. */
export class JsonError extends Error {
  constructor(rule: string, offset: number) {
    super(`${rule} at offset ${offset}`);
    this.name = 'JsonError';
  }
}

/** Bounds of what is read; reading stops at the first that is passed. */
export interface JsonLimits {
  /** Bytes of UTF-8, or UTF-16 units where a string is given. */
  readonly maxLength: number;
  /** Arrays and objects within each other. */
  readonly maxDepth: number;
}

/**
 * Reads one JSON value (RFC 8259) strictly. Unlike `JSON.parse` it refuses repeated members, lone surrogates and
 * numbers out of range, and bounds length and depth.
 *
 * @param input text, or its UTF-8 bytes (malformed bytes and a byte order mark are refused)
 * @throws JsonError
 */
export function readJson(input: string | Uint8Array, limits: JsonLimits): JsonValue {
  return new Reader<never>(textOf(input, limits), limits.maxDepth, Number).document();
}

/**
 * `readJson`, but what is written as an integer comes as a bigint, exactly; `1.0`, `1e2` and `-0` are not written so, and
 * come as numbers.
 */
export function readJsonExact(input: string | Uint8Array, limits: JsonLimits): JsonValue<bigint> {
  const exact = (digits: string): number | bigint => (digits === '-0' ? -0 : BigInt(digits));
  return new Reader<bigint>(textOf(input, limits), limits.maxDepth, exact).document();
}

/** Whether a value is an object, neither an array nor null. */
export function isJsonObject<Big>(value: JsonValue<Big> | undefined): value is JsonObject<Big> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(input: string | Uint8Array, { maxLength }: JsonLimits): string {
  if (input.length > maxLength) throw new JsonError('text is too long', maxLength);
  return typeof input === 'string' ? input : decodeUtf8(input);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new JsonError('malformed UTF-8', 0);
  }
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
/** A string with its quotes: no bare control character, no unknown escape. */
const STRING = /"[ !#-[\]-\uffff]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[ !#-[\]-\uffff]*)*"/y;
const LONE_SURROGATE = /\p{Surrogate}/u;

class Reader<Big> {
  readonly #text: string;
  readonly #maxDepth: number;
  /** Reads what is written as an integer. */
  readonly #integer: (digits: string) => number | Big;
  #at = 0;
  #depth = 0;

  constructor(text: string, maxDepth: number, integer: (digits: string) => number | Big) {
    this.#text = text;
    this.#maxDepth = maxDepth;
    this.#integer = integer;
  }

  document(): JsonValue<Big> {
    const value = this.#value();
    if (this.#at !== this.#text.length) this.#fail('unexpected text after the value');
    return value;
  }

  /** Reads a value and the space around it. */
  #value(): JsonValue<Big> {
    this.#space();
    const value = this.#bareValue();
    this.#space();
    return value;
  }

  #bareValue(): JsonValue<Big> {
    switch (this.#text.charAt(this.#at)) {
      case '{':
        return this.#nested(() => this.#object());
      case '[':
        return this.#nested(() => this.#array());
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #nested<T>(read: () => T): T {
    if (this.#depth >= this.#maxDepth) this.#fail('too deeply nested');
    this.#depth += 1;
    this.#at += 1;
    const value = read();
    this.#depth -= 1;
    return value;
  }

  #object(): JsonObject<Big> {
    const members: Record<string, JsonValue<Big>> = Object.create(null);
    this.#space();
    if (this.#take('}')) return members;
    do {
      this.#space();
      const at = this.#at;
      const name = this.#string();
      if (name in members) throw new JsonError('repeated member', at);
      this.#space();
      if (!this.#take(':')) this.#fail('expected a colon');
      members[name] = this.#value();
    } while (this.#take(','));
    if (!this.#take('}')) this.#fail('expected a comma or the end of the object');
    return members;
  }

  #array(): JsonValue<Big>[] {
    const items: JsonValue<Big>[] = [];
    this.#space();
    if (this.#take(']')) return items;
    do items.push(this.#value());
    while (this.#take(','));
    if (!this.#take(']')) this.#fail('expected a comma or the end of the array');
    return items;
  }

  #string(): string {
    const at = this.#at;
    const literal = this.#match(STRING)?.[0];
    if (literal === undefined) return this.#fail('expected a string');
    const text = literal.includes('\\') ? String(JSON.parse(literal)) : literal.slice(1, -1);
    if (LONE_SURROGATE.test(text)) throw new JsonError('lone surrogate', at);
    return text;
  }

  #number(): number | Big {
    const at = this.#at;
    const match = this.#match(NUMBER);
    if (match === null) return this.#fail('expected a value');
    const value = Number(match[0]);
    if (!Number.isFinite(value)) throw new JsonError('number out of range', at);
    const isInteger = match[1] === undefined && match[2] === undefined;
    return isInteger ? this.#integer(match[0]) : value;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('expected a value');
    this.#at += word.length;
    return value;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #space(): void {
    this.#match(SPACE);
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#at = pattern.lastIndex;
    return match;
  }

  #fail(rule: string): never {
    throw new JsonError(rule, this.#at);
  }
}
