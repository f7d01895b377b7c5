/** Latencies counted in buckets 2% wide, so that millions cost nothing; sums of several are exact sums. */
const GROWTH = 1.02;
const LOG_GROWTH = Math.log(GROWTH);
/** The first bucket ends here, in milliseconds. */
const LEAST_MS = 0.001;
const BUCKETS = 1200;

/** A histogram as plain data, which threads can hand to each other. */
export interface Latencies {
  readonly counts: Float64Array;
  maxMs: number;
}

export function newLatencies(): Latencies {
  return { counts: new Float64Array(BUCKETS), maxMs: 0 };
}

/** Counts one latency in milliseconds. */
export function addLatency(to: Latencies, ms: number): void {
  const bucket = Math.min(BUCKETS - 1, Math.max(0, Math.ceil(Math.log(ms / LEAST_MS) / LOG_GROWTH)));
  to.counts[bucket] = (to.counts[bucket] ?? 0) + 1;
  to.maxMs = Math.max(to.maxMs, ms);
}

/** Adds all of `from`. */
export function mergeLatencies(to: Latencies, from: Latencies): void {
  for (const [bucket, count] of from.counts.entries()) to.counts[bucket] = (to.counts[bucket] ?? 0) + count;
  to.maxMs = Math.max(to.maxMs, from.maxMs);
}

/** @param share between 0 and 1; @returns milliseconds, exact to 2%, or 0 when nothing was counted */
export function percentile(of: Latencies, share: number): number {
  const total = of.counts.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (const [bucket, count] of of.counts.entries()) {
    seen += count;
    if (count > 0 && seen >= total * share) return Math.min(of.maxMs, LEAST_MS * GROWTH ** bucket);
  }
  return of.maxMs;
}
