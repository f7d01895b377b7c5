import { clearCounters, Coverage } from './counters.ts';
import type { Target } from './target.ts';

/** The corpus is part of the repository: all targets together stay below 300 KB. */
const MAX_BYTES = 10_000;
const MAX_INPUTS = 60;

/** The smallest inputs that together pass every place and show every outcome that all of them do. */
export async function distilled(target: Target, inputs: readonly Buffer[]): Promise<Buffer[]> {
  const coverage = new Coverage();
  const outcomes = new Set<string>();
  const kept: Buffer[] = [];
  let bytes = 0;
  for (const input of inputs.toSorted((a, b) => a.length - b.length || Buffer.compare(a, b))) {
    clearCounters();
    const outcome = await target.execute(input, false);
    // The second question must be asked too, as it learns.
    const isNew = [coverage.learn(), !outcomes.has(outcome)].includes(true);
    if (!isNew || bytes + input.length > MAX_BYTES || kept.length >= MAX_INPUTS) continue;
    outcomes.add(outcome);
    kept.push(input);
    bytes += input.length;
  }
  return kept;
}
