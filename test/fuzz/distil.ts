import { clearCounters, lastFeatures } from './counters.ts';
import type { Target } from './target.ts';

/** The corpus is part of the repository: all targets together stay below 300 KB. */
const MAX_BYTES = 12_000;
const MAX_INPUTS = 60;
/** What an input costs by being one, as bytes. */
const COST_OF_ONE = 150;

interface Candidate {
  readonly input: Buffer;
  /** What it shows that no input chosen so far does. */
  readonly shows: Set<string>;
}

/**
 * Few and small inputs that together show most of what all of them do: the best for its size first.
 *
 * @param wellFormed from which changes go furthest; of these most are taken, the smallest first
 */
export async function distilled(
  target: Target,
  wellFormed: readonly Buffer[],
  inputs: readonly Buffer[],
): Promise<Buffer[]> {
  const chosen: Buffer[] = [];
  let room = MAX_BYTES;
  for (const input of wellFormed.toSorted((a, b) => a.length - b.length)) {
    if (chosen.length >= MAX_INPUTS / 2 || room - input.length < MAX_BYTES / 3) break;
    chosen.push(input);
    room -= input.length;
  }
  const left = await candidatesOf(target, [...chosen, ...inputs]);
  for (const { shows } of left.slice(0, chosen.length)) forget(left, shows);
  while (chosen.length < MAX_INPUTS) {
    const best = bestOf(left.filter(({ input }) => input.length <= room));
    if (best === undefined) break;
    chosen.push(best.input);
    room -= best.input.length;
    forget(left, best.shows);
  }
  return chosen;
}

async function candidatesOf(target: Target, inputs: readonly Buffer[]): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for (const input of inputs) {
    clearCounters();
    const outcome = await target.execute(input, false);
    candidates.push({ input, shows: new Set([outcome, ...lastFeatures().map(String)]) });
  }
  return candidates;
}

function forget(candidates: readonly Candidate[], shown: ReadonlySet<string>): void {
  const features = Array.from(shown);
  for (const { shows } of candidates) for (const one of features) shows.delete(one);
}

function bestOf(candidates: readonly Candidate[]): Candidate | undefined {
  const worth = ({ input, shows }: Candidate): number => shows.size / (input.length + COST_OF_ONE);
  let best: Candidate | undefined;
  for (const one of candidates) if (one.shows.size > 0 && (best === undefined || worth(one) > worth(best))) best = one;
  return best;
}
