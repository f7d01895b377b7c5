import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { CHECKOUT } from '../support/checkout.ts';
import { scratchFolder } from '../support/scratch.ts';

// Runs the soak as its users do, compiled, and for as short as it can be told to.

const main = path.join(CHECKOUT, 'dist/soak/test/soak/main.js');
const run = promisify(execFile);
const PATIENCE_MS = 120_000;
const within = { timeout: PATIENCE_MS / 2, interval: 50 } as const;

beforeAll(async () => {
  // Types are the business of `npm run check`.
  const tsc = path.join(CHECKOUT, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [tsc, '-p', 'test/soak/tsconfig.json', '--noCheck'], { cwd: CHECKOUT });
}, PATIENCE_MS);

/** A soak of which the output is gathered; its folders are made in one that goes with the test. */
function soak(...flags: string[]): { readonly child: ChildProcess; readonly output: () => string } {
  const env = { ...process.env, TMPDIR: scratchFolder() };
  const child = spawn(process.execPath, ['--expose-gc', main, ...flags], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (part) => {
    output += String(part);
  });
  return { child, output: () => output };
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null];
  return code;
}

/** Whether a process of this number, as written by the soak, still runs. */
function isRunning(pidFile: string): boolean {
  try {
    process.kill(Number(readFileSync(pidFile, 'utf8')), 0);
    return true;
  } catch {
    return false;
  }
}

describe('the soak', () => {
  it.each([
    [['-only', 'crash-loop,absent'], 'no scenario absent; one of: crash-loop, hostile-clients, leaks\n'],
    [['-minutes', '0'], expect.stringContaining('usage: npm run soak')],
    [['-minutes', 'ten'], expect.stringContaining('usage: npm run soak')],
    [['-fast'], expect.stringContaining('usage: npm run soak')],
  ])('refuses %s', async (flags, stderr) => {
    await expect(run(process.execPath, [main, ...flags])).rejects.toMatchObject({ code: 2, stderr });
  });

  it(
    'ends each scenario with its verdict',
    async () => {
      const { child, output } = soak('-only', 'leaks,crash-loop', '-minutes', '0.05', '-no-kills');
      expect([await exitOf(child), output()]).toEqual([0, expect.stringMatching(/^soak leaks: ok: .+/m)]);
      expect(output()).toMatch(/^soak crash-loop: ok: [1-9]\d* writes acknowledged .*, 0 lost, 0 doubled$/m);
    },
    PATIENCE_MS,
  );

  it(
    'ends with a verdict when it is interrupted, and leaves no process behind',
    async () => {
      const { child, output } = soak('-only', 'crash-loop', '-no-kills');
      await expect.poll(output, within).toMatch(/\d+ writes/);
      const folder = /^crash-loop in (.+)$/m.exec(output())?.[1] ?? '';
      const pids = ['server.pid', 'agent.pid'].map((name) => path.join(folder, name));
      expect(pids.map(isRunning)).toEqual([true, true]);
      child.kill('SIGTERM');
      expect(await exitOf(child)).toBe(128 + 15);
      expect(output()).toMatch(/^soak crash-loop: FAILED: interrupted by SIGTERM; no finding until then$/m);
      await expect.poll(() => pids.map(isRunning), within).toEqual([false, false]);
    },
    PATIENCE_MS,
  );
});
