import { drive } from './load/drive.ts';
import type { LoadPlan, Sample } from './load/plan.ts';
import type { Measured } from './row.ts';
import { watchProcess } from './target/process.ts';
import { probeStalls } from './target/stall.ts';

/** The process that a load is on. */
export interface UnderLoad {
  readonly pid: number;
  /** Where it is asked for signs of life. */
  readonly socketPath: string;
}

/** How answers are judged: returns what is wrong with one, or undefined; throwing says the same. */
export type Judge = (sample: Sample) => Promise<string | undefined> | string | undefined;

/**
 * Puts a load on a process and measures both.
 *
 * @param opsPerCall how many operations one call is, such as SVIDs in a batch
 */
export async function measureLoad(
  process: UnderLoad,
  plans: readonly LoadPlan[],
  judge: Judge,
  opsPerCall = 1,
): Promise<Measured> {
  using watch = watchProcess(process.pid);
  using probe = await probeStalls(process.socketPath);
  const result = await drive(...plans);
  const { cpuSeconds, rssMb } = watch.between(result.from, result.to);
  const wrong: string[] = [];
  for (const sample of result.samples) {
    try {
      const finding = await judge(sample);
      if (finding !== undefined) wrong.push(finding);
    } catch (error) {
      wrong.push(String(error));
    }
  }
  if (result.ops > 0 && result.samples.length === 0) wrong.push('no answer was sampled');
  return {
    ops: result.ops * opsPerCall,
    seconds: result.seconds,
    failures: result.failures,
    latencies: result.latencies,
    ...{ cpuSeconds, rssMb, wrong },
    ...probe.between(result.from, result.to),
    busy: result.busy,
    starved: result.starved,
    verified: result.samples.length,
    extra: {
      ...(result.reconnects > 0 && { reconnects: result.reconnects }),
      ...(result.lateMs !== undefined && { late_p99_ms: result.lateMs }),
    },
  };
}
