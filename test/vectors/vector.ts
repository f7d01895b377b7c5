/** One vector: what is judged, and how the judgement must end. Files of this folder are lists of them, by kind. */
export interface Vector {
  /** Of the table, such as `V-ID-54`; a row of several inputs adds a letter: `V-ID-54a`. */
  readonly id: string;
  /** In a few words, what is special. */
  readonly what: string;
  /** As the runner of the kind wants it. */
  readonly input: unknown;
  readonly verdict: 'ok' | 'no';
  /** What an accepted input must give, compared by toMatchObject (or toEqual for what is not an object). */
  readonly expect?: unknown;
  /** Part of the message with which a refused input is refused. */
  readonly error?: string;
}

/** Judges the input of a vector. @returns what `expect` is compared with @throws for an input that is refused */
export type Runner = (input: never, vector: Vector) => unknown;
