import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { drive } from '../load/drive.ts';
import type { Row } from '../row.ts';
import { benchFolder, keepTrackOf, removeBenchFolder } from '../target/leftovers.ts';
import { watchProcess } from '../target/process.ts';
import { windowOf } from './svids.ts';

const RESPONDER = new URL(
  import.meta.url.endsWith('.ts') ? '../load/responder.ts' : '../load/responder.js',
  import.meta.url,
);

/**
 * What the load side does by itself: against a process that answers every call with the same bytes and reads nothing of
 * it. No server can be measured beyond this, so it says how far from being the limit the load is in the other rows: a
 * call costs the load the time that it was busy here divided by the calls.
 */
const ceiling: Row = {
  name: 'load-ceiling',
  what: 'a call of the load side, answered by a process that does nothing else',
  needs: 'nothing',
  async run(bench) {
    const folder = benchFolder();
    const socketPath = path.join(folder, 'null.sock');
    const responder = keepTrackOf(fork(RESPONDER, [socketPath], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
    try {
      await once(responder, 'message');
      const plan = { peers: [{ socketPath }], connections: 8, concurrency: 8, path: '/null/Null' };
      const requests = [Buffer.alloc(400, 'x')];
      using watch = watchProcess(responder.pid ?? 0);
      const result = await drive({ ...plan, requests, ...windowOf(bench, 1000) });
      const { cpuSeconds, rssMb } = watch.between(result.from, result.to);
      const wrong = result.samples.filter(({ answer }) => answer.length !== 600).map(() => 'an answer of another size');
      // That the load is the limit is no finding here but what is wanted.
      const { busy, starved: _, ...rest } = result;
      const extra = { load_busy: busy, load_us_per_call: (busy * result.seconds * 1e6) / result.ops };
      return { ...rest, cpuSeconds, rssMb, wrong, verified: result.samples.length, extra };
    } finally {
      responder.kill('SIGKILL');
      removeBenchFolder(folder);
    }
  },
};

export const ceilingRows: readonly Row[] = [ceiling];
