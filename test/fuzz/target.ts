import type { Random } from './random.ts';

/** How an input is changed into another one. `other` gives any other input of the corpus, to take pieces from. */
export type Mutator = (input: Buffer, random: Random, other: () => Buffer) => Buffer;

/** Inputs of growing size, to see that the time of reading them grows no faster than they do. */
export interface Growth {
  readonly what: string;
  /** The smaller size, in whatever `of` counts; the larger one is four times that. */
  readonly from: number;
  readonly of: (size: number) => Buffer;
}

/** A parser or verifier and the properties that hold for every input. */
export interface Target {
  /** Also the folder of its corpus. */
  readonly name: string;
  /** Inputs are cut to this many bytes. */
  readonly maxLength: number;
  readonly mutate: Mutator;
  /**
   * Reads an input and checks all properties.
   *
   * @param isThorough whether to ask the slow oracles too
   * @returns what came of it in a few words; an input with a new outcome is kept
   * @throws whatever is not a documented error, and Broken for a property that does not hold
   */
  readonly execute: (input: Buffer, isThorough: boolean) => string | Promise<string>;
  readonly growth?: readonly Growth[];
}

/** A property that does not hold. */
export class Broken extends Error {
  constructor(property: string, options?: { cause?: unknown }) {
    super(property, options);
    this.name = 'Broken';
  }
}

/** Says that a property does not hold. */
export function must(holds: boolean, property: string): asserts holds {
  if (!holds) throw new Broken(property);
}

/** Says that two values are not the same where they must be. */
export function mustBeSame(ours: unknown, theirs: unknown, property: string): void {
  if (!Object.is(ours, theirs)) throw new Broken(`${property}: ${show(ours)} and not ${show(theirs)}`);
}

function show(value: unknown): string {
  return typeof value === 'bigint' ? `${value}n` : (JSON.stringify(value) ?? String(value)).slice(0, 400);
}

/** What a parser made of an input. */
export type Outcome<T> = { readonly value: T } | { readonly refused: Error };

/** Runs a parser. Only errors of `allowed` kinds may come out of it; anything else is thrown on. */
export function outcomeOf<T>(parse: () => T, isAllowed: (error: unknown) => boolean): Outcome<T> {
  try {
    return { value: parse() };
  } catch (error) {
    if (error instanceof Error && isAllowed(error)) return { refused: error };
    throw error;
  }
}

/** `outcomeOf` for what answers later. */
export async function laterOutcomeOf<T>(
  parse: () => Promise<T>,
  isAllowed: (error: unknown) => boolean,
): Promise<Outcome<T>> {
  try {
    return { value: await parse() };
  } catch (error) {
    if (error instanceof Error && isAllowed(error)) return { refused: error };
    throw error;
  }
}

/** The rule that refused an input, without the particulars of the input. */
export function ruleOf(refused: Error): string {
  return refused.message.replaceAll(/"[^"]*"|[0-9]+/g, '#').slice(0, 80);
}

/** What another parser, whose errors nobody promised, made of an input; undefined when it refused. */
export function opinion<T>(ask: () => T): { readonly value: T } | undefined {
  try {
    return { value: ask() };
  } catch {
    return undefined;
  }
}
