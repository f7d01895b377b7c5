import { parentPort, workerData } from 'node:worker_threads';
import type { LoadPlan } from './plan.ts';
import { runLoad } from './run.ts';

// The load has a thread of its own, so that verifying answers and looking at processes does not disturb it.
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread of Node.js has no origin
parentPort?.postMessage(await runLoad(workerData as LoadPlan));
