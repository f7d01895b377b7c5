import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { mergeLatencies, newLatencies } from '../histogram.ts';
import type { LoadPlan, LoadResult } from './plan.ts';

const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

/**
 * Runs plans at the same time, each in a thread of its own, and adds up what came of them.
 *
 * @throws what a thread failed with, such as a connection that was refused
 */
export async function drive(...plans: readonly LoadPlan[]): Promise<LoadResult> {
  const results = await Promise.all(
    plans.map(async (plan) => {
      const worker = new Worker(WORKER, { workerData: plan });
      const [result] = (await once(worker, 'message')) as [LoadResult];
      await worker.terminate();
      return result;
    }),
  );
  const latencies = newLatencies();
  const failures: Record<string, number> = {};
  for (const one of results) {
    mergeLatencies(latencies, one.latencies);
    for (const [kind, count] of Object.entries(one.failures)) failures[kind] = (failures[kind] ?? 0) + count;
  }
  return {
    latencies,
    failures,
    ops: results.reduce((sum, { ops }) => sum + ops, 0),
    seconds: Math.max(...results.map(({ seconds }) => seconds)),
    reconnects: results.reduce((sum, { reconnects }) => sum + reconnects, 0),
    samples: results.flatMap(({ samples }) => samples),
    busy: Math.max(...results.map(({ busy }) => busy)),
    starved: Math.max(...results.map(({ starved }) => starved)),
    ...(results.some(({ lateMs }) => lateMs !== undefined) && {
      lateMs: Math.max(...results.map(({ lateMs = 0 }) => lateMs)),
    }),
    from: Math.min(...results.map(({ from }) => from)),
    to: Math.max(...results.map(({ to }) => to)),
  };
}
