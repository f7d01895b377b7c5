import { clearCounters, type Coverage } from './counters.ts';
import { minimised } from './minimise.ts';
import type { Random } from './random.ts';
import { Broken, type Target } from './target.ts';

/** Longer takes no execution of any input; milliseconds. */
const TIME_LIMIT = 500;
/** Every so many executions the slow oracles are asked, and for every input that shows something new. */
const THOROUGH_EVERY = 64;
/** An outcome is told apart by its text, so a target whose texts vary without end would keep everything. */
const MAX_OUTCOMES = 500;

/** An input for which a property does not hold. */
export interface Finding {
  readonly target: string;
  readonly input: Buffer;
  readonly problem: Error;
}

/** What a run of one target came to. */
export interface Summary {
  readonly executions: number;
  /** Milliseconds, of the slowest execution. */
  readonly slowest: number;
  /** Inputs that showed something new, those of the corpus first. */
  readonly kept: readonly Buffer[];
  readonly finding: Finding | undefined;
}

/** How a target is run. */
export interface Run {
  readonly target: Target;
  /** Where to begin; each is executed once. */
  readonly corpus: readonly Buffer[];
  readonly random: Random;
  /** Where the sources are counted. */
  readonly coverage?: Coverage | undefined;
  /** Whether what passes new places is kept, and not only what has a new outcome. */
  readonly isGuided?: boolean;
  /** Told of each input before it is executed, for whoever watches over the run. */
  readonly before?: (input: Buffer) => void;
  /** Whether to go on, asked before each execution with the number of those that were. */
  readonly goesOn: (executions: number) => boolean;
  /** Milliseconds from anywhere. */
  readonly clock: () => number;
}

/** Executes the corpus and then changed inputs as long as the run goes on, or until a property does not hold. */
export async function runTarget(run: Run): Promise<Summary> {
  const { target, random } = run;
  const state = { run, kept: [] as Buffer[], outcomes: new Set<string>(), executions: 0, slowest: 0 };
  const other = (): Buffer => (state.kept.length === 0 ? Buffer.of() : random.pick(state.kept));
  let finding: Finding | undefined;
  for (const input of run.corpus) {
    finding ??= await executeOne(state, input, true);
  }
  while (finding === undefined && run.goesOn(state.executions)) {
    // Half of the time one of the newest, where the edge of the known is.
    const newest = random.oneIn(2) ? state.kept.slice(-16) : state.kept;
    const from = newest.length === 0 ? Buffer.of() : random.pick(newest);
    const input = Buffer.from(target.mutate(from, random, other).subarray(0, target.maxLength));
    finding = await executeOne(state, input, state.executions % THOROUGH_EVERY === 0);
  }
  const { executions, slowest, kept } = state;
  return { executions, slowest, kept, finding };
}

interface State {
  readonly run: Run;
  readonly kept: Buffer[];
  readonly outcomes: Set<string>;
  executions: number;
  slowest: number;
}

async function executeOne(state: State, input: Buffer, isThorough: boolean): Promise<Finding | undefined> {
  const { target, coverage, before, clock } = state.run;
  before?.(input);
  state.executions += 1;
  clearCounters();
  const start = clock();
  try {
    const result = target.execute(input, isThorough);
    const outcome = typeof result === 'string' ? result : await result;
    const took = clock() - start;
    const isNewOutcome = state.outcomes.size < MAX_OUTCOMES && !state.outcomes.has(outcome);
    const passesNewPlaces = coverage?.learn() === true;
    if (isNewOutcome || (passesNewPlaces && state.run.isGuided !== false)) {
      state.outcomes.add(outcome);
      state.kept.push(input);
      if (!isThorough) await target.execute(input, true);
    }
    if (took > TIME_LIMIT) await checkTime(target, input, clock);
    state.slowest = Math.max(state.slowest, took);
    return undefined;
  } catch (thrown) {
    return findingOf(target, input, thrown);
  }
}

/** The machine may have been busy elsewhere: only an input that is slow each time is a slow one. */
async function checkTime(target: Target, input: Buffer, clock: () => number): Promise<void> {
  let least = Infinity;
  for (let attempt = 0; attempt < 4 && least > TIME_LIMIT; attempt += 1) {
    const start = clock();
    await target.execute(input, false);
    least = Math.min(least, clock() - start);
  }
  if (least > TIME_LIMIT) throw new Broken(`takes ${Math.round(least)} ms`);
}

async function findingOf(target: Target, input: Buffer, thrown: unknown): Promise<Finding> {
  const problem = thrown instanceof Error ? thrown : new Broken(`threw ${String(thrown)}`);
  const fails = async (candidate: Buffer): Promise<boolean> => {
    try {
      await target.execute(candidate, true);
      return false;
    } catch (error) {
      return error instanceof Error && kindOf(error) === kindOf(problem);
    }
  };
  return { target: target.name, input: await minimised(input, fails), problem };
}

/** What must stay the same when an input is made smaller. */
function kindOf(problem: Error): string {
  return `${problem.constructor.name} ${problem.message.replace(/:.*/s, '').replaceAll(/[0-9]+/g, '#')}`;
}
