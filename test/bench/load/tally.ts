import { addLatency, type Latencies, newLatencies } from '../histogram.ts';
import type { LoadPlan, Sample } from './plan.ts';

/** Of answers kept for a look; each may hold hundreds of certificates. */
const MAX_SAMPLES = 50;
const MAX_KINDS_OF_FAILURE = 20;
/** A window is stretched by so much at most for calls that take longer than it, in milliseconds. */
const LONGEST_STRETCH_MS = 30_000;
/** Answers a window must hold for each call that is open at a time, so that those cut off at its ends weigh little. */
const ROUNDS = 3;

/** One call that is over; times are milliseconds of the caller's clock. */
export interface Done {
  readonly request: number;
  readonly began: number;
  readonly answer?: Buffer;
  readonly failure?: string;
}

/** What a load counted in its window. */
export interface Tally {
  readonly from: number;
  readonly latencies: Latencies;
  readonly failures: Readonly<Record<string, number>>;
  readonly samples: readonly Sample[];
  readonly ops: number;
  /** Whether no further call should begin. */
  over(): boolean;
  done(call: Done): void;
  /** Where the window ended. @param last when the load ended, which may be earlier */
  end(last: number): number;
}

/**
 * Counts answers after the warm-up, for the length of the window; a closed loop of calls that take long goes on until
 * each has been answered some times.
 */
export function openTally(plan: LoadPlan, now: () => number): Tally {
  const from = now() + plan.warmUpSeconds * 1000;
  const until = from + plan.seconds * 1000;
  const enough = plan.perSecond !== undefined ? 0 : ROUNDS * plan.connections * plan.concurrency;
  const latencies = newLatencies();
  const failures = new Map<string, number>();
  const samples: Sample[] = [];
  let [ops, answered, lastCounted] = [0, 0, from];
  const wanted = (at: number): boolean => at <= until || (ops < enough && at <= until + LONGEST_STRETCH_MS);
  return {
    ...{ from, latencies, samples },
    get failures() {
      return Object.fromEntries(failures);
    },
    get ops() {
      return ops;
    },
    over: () => !wanted(now()),
    done({ request, began, answer, failure }) {
      const at = now();
      if (failure !== undefined) {
        const kind = failures.has(failure) || failures.size < MAX_KINDS_OF_FAILURE ? failure : 'other';
        failures.set(kind, (failures.get(kind) ?? 0) + 1);
        return;
      }
      answered += 1;
      // The first answer too, so that there is a sample of the fewest answers.
      if (
        answer !== undefined &&
        answered % plan.sampleEvery === 1 % plan.sampleEvery &&
        samples.length < MAX_SAMPLES
      ) {
        samples.push({ request, answer: Buffer.from(answer) });
      }
      if (at < from || !wanted(at)) return;
      ops += 1;
      lastCounted = at;
      addLatency(latencies, at - began);
    },
    end: (last) => Math.max(from + 1, lastCounted > until ? lastCounted : Math.min(last, until)),
  };
}
