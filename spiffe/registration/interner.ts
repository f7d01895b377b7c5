/**
 * Gives each text in use a small number, and takes the number back when the last use ends. Comparing and storing
 * numbers is what keeps the indexes small.
 */
export class Interner {
  readonly #numbers = new Map<string, number>();
  readonly #texts: (string | undefined)[] = [];
  readonly #uses: number[] = [];
  readonly #free: number[] = [];

  /** The number of `text`, with one more use of it. */
  acquire(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) {
      this.#uses[known] = this.usesOf(known) + 1;
      return known;
    }
    const number = this.#free.pop() ?? this.#texts.length;
    this.#numbers.set(text, number);
    this.#texts[number] = text;
    this.#uses[number] = 1;
    return number;
  }

  /** Ends one use. The number may mean another text from then on if it was the last. */
  release(number: number): void {
    const uses = this.usesOf(number) - 1;
    this.#uses[number] = uses;
    const text = this.#texts[number];
    if (uses > 0 || text === undefined) return;
    this.#numbers.delete(text);
    this.#texts[number] = undefined;
    this.#free.push(number);
  }

  /** The number of a text in use; undefined when nobody uses it. */
  find(text: string): number | undefined {
    return this.#numbers.get(text);
  }

  /** The text of a number in use; undefined when nobody uses it. */
  textOf(number: number): string | undefined {
    return this.#texts[number];
  }

  usesOf(number: number): number {
    return this.#uses[number] ?? 0;
  }

  /** How many texts are in use. */
  get size(): number {
    return this.#numbers.size;
  }
}
