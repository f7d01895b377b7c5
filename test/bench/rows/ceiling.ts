import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { drive } from '../load/drive.ts';
import type { Row } from '../row.ts';
import { windowOf } from './svids.ts';

const RESPONDER = new URL(
  import.meta.url.endsWith('.ts') ? '../load/responder.ts' : '../load/responder.js',
  import.meta.url,
);

/**
 * What the load side does by itself: against a process that answers every call with the same bytes and reads nothing of
 * it. No server can be measured beyond this, so it says how far from being the limit the load is in the other rows.
 */
const ceiling: Row = {
  name: 'load-ceiling',
  what: 'a call of the load side, answered by a process that does nothing else',
  needs: 'server',
  async run(bench) {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'finial-ceiling-'));
    const socketPath = path.join(folder, 'null.sock');
    const responder = fork(RESPONDER, [socketPath], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    try {
      await once(responder, 'message');
      const plan = { peers: [{ socketPath }], connections: 8, concurrency: 8, path: '/null/Null' };
      const requests = [Buffer.alloc(400, 'x')];
      const result = await drive({ ...plan, requests, ...windowOf(bench, 1000) });
      const wrong = result.samples.filter(({ answer }) => answer.length !== 600).map(() => 'an answer of another size');
      // What the load does is wanted here, so that it is the limit is no finding.
      const { busy, ...rest } = result;
      return { ...rest, wrong, verified: result.samples.length, extra: { load_busy: busy } };
    } finally {
      responder.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
  },
};

export const ceilingRows: readonly Row[] = [ceiling];
