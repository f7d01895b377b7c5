import { type Language, Scanner, type Token } from './scanner.ts';
import type { Position } from './tree.ts';

/** Blocks and lists deeper than any configuration goes; bounds the parsers' own recursion. */
const MAX_DEPTH = 100;

/** One token ahead of a scanner; what the parsers of both languages have in common. */
export class TokenReader {
  readonly #scanner: Scanner;
  #token: Token;
  #depth = 0;

  constructor(text: string, fileName: string, language: Language) {
    this.#scanner = new Scanner(text, fileName, language);
    this.#token = this.#scanner.next();
  }

  /** The token not yet taken. */
  get token(): Token {
    return this.#token;
  }

  /** Takes the token. */
  step(): Token {
    const token = this.#token;
    this.#token = this.#scanner.next();
    return token;
  }

  /** Takes the token if it is of this kind. */
  accept(kind: Token['kind']): boolean {
    if (this.#token.kind !== kind) return false;
    this.step();
    return true;
  }

  /** @throws FinialError `invalid-argument` at the token not yet taken */
  fail(what: string): never {
    return this.#scanner.fail(this.#token.position, what);
  }

  /** @throws FinialError `invalid-argument`: expected `what` instead of the token not yet taken */
  failExpecting(what: string): never {
    const { kind, text } = this.#token;
    return this.fail(
      `expected ${what} but ${kind === 'end of file' ? 'the file ends' : `found ${JSON.stringify(text)}`}`,
    );
  }

  /** Takes the opening bracket and runs `parse`, which takes the closing one. */
  nested<T>(parse: (opening: Position) => T): T {
    if (this.#depth >= MAX_DEPTH) this.fail(`nested deeper than ${MAX_DEPTH}`);
    this.#depth += 1;
    const value = parse(this.step().position);
    this.#depth -= 1;
    return value;
  }
}
