import { formatSelector, type Selector } from '../selector.ts';
import { Interner } from './interner.ts';

interface Required<V> {
  readonly value: V;
  /** Interned selectors, without repeats; the first is the one under which this is listed. */
  readonly selectors: readonly number[];
  /** Place in that list. */
  position: number;
}

/**
 * Finds everything whose selectors are all among the presented ones, without looking at the rest. Each value is listed
 * under one of its selectors, the rarest when it came, so a question looks only at the lists of what is presented.
 *
 * @typeParam V what is found: an entry ID, an object or a handle; equal as keys of a Map are
 */
export class MatchIndex<V> {
  readonly #selectors = new Interner();
  readonly #required = new Map<V, Required<V>>();
  readonly #lists: Required<V>[][] = [];

  get size(): number {
    return this.#required.size;
  }

  /** Adds a value, or replaces its selectors. A value without selectors is kept but never found. */
  put(value: V, selectors: Iterable<Selector>): void {
    this.remove(value);
    const texts = new Set<string>();
    for (const selector of selectors) texts.add(formatSelector(selector));
    const numbers = Array.from(texts, (text) => this.#selectors.acquire(text));
    this.#rarestFirst(numbers);
    const required: Required<V> = { value, selectors: numbers, position: 0 };
    this.#required.set(value, required);
    const [pivot] = numbers;
    if (pivot === undefined) return;
    const list = (this.#lists[pivot] ??= []);
    required.position = list.length;
    list.push(required);
  }

  /** @returns whether it was there */
  remove(value: V): boolean {
    const required = this.#required.get(value);
    if (required === undefined) return false;
    this.#required.delete(value);
    const [pivot] = required.selectors;
    if (pivot !== undefined) this.#unlist(pivot, required);
    for (const number of required.selectors) this.#selectors.release(number);
    return true;
  }

  /** The values whose selectors are all among `presented`, each once, in no particular order. */
  matching(presented: Iterable<Selector>): V[] {
    const numbers = new Set<number>();
    for (const selector of presented) {
      const number = this.#selectors.find(formatSelector(selector));
      if (number !== undefined) numbers.add(number);
    }
    const found: V[] = [];
    for (const number of numbers) {
      for (const required of this.#lists[number] ?? []) {
        if (required.selectors.every((one) => numbers.has(one))) found.push(required.value);
      }
    }
    return found;
  }

  #rarestFirst(numbers: number[]): void {
    let rarest = 0;
    for (let i = 1; i < numbers.length; i += 1) if (this.#uses(numbers, i) < this.#uses(numbers, rarest)) rarest = i;
    const first = numbers[0];
    const pivot = numbers[rarest];
    if (first === undefined || pivot === undefined) return;
    numbers[0] = pivot;
    numbers[rarest] = first;
  }

  #uses(numbers: readonly number[], index: number): number {
    return this.#selectors.usesOf(numbers[index] ?? -1);
  }

  #unlist(pivot: number, required: Required<V>): void {
    const list = this.#lists[pivot];
    const last = list?.pop();
    if (list === undefined || last === undefined || last === required) return;
    list[required.position] = last;
    last.position = required.position;
  }
}
