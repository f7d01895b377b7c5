import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectUnix } from '../../../common/rpc/client.ts';
import { agentService, entryService } from '../../../common/rpc/services.ts';
import { scratchFolder } from '../../support/scratch.ts';
import { layOutSite } from '../target/launch.ts';
import { rows } from '../rows.ts';

// Runs the bench as its users do, in its quick form: what it prints means nothing, but every part of it has to work.

const root = path.resolve(import.meta.dirname, '../../..');
const bin = path.join(root, 'bin');
const main = path.join(root, 'dist/bench/test/bench/main.js');
const folder = scratchFolder();
const run = promisify(execFile);
const PATIENCE_MS = 120_000;
/** For conditions of other processes. */
const within = { timeout: PATIENCE_MS / 2, interval: 50 } as const;
const number: unknown = expect.any(Number);
const positive: unknown = expect.toSatisfy((value: number) => value > 0);

beforeAll(async () => {
  // Load threads are compiled files: Node 20 runs no TypeScript. Types are the business of `npm run check`.
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [tsc, '-p', 'test/bench/tsconfig.json', '--noCheck'], { cwd: root });
}, PATIENCE_MS);

interface Line {
  readonly name: string;
  readonly skipped?: string;
}

/** What a quick run prints, and its JSON lines by the names of rows. */
async function bench(target: string, only: readonly string[]) {
  const json = path.join(mkdtempSync(path.join(folder, 'run-')), 'rows.json');
  const flags = ['-quick', '-target', target, '-only', only.join(','), '-json', json];
  const { stdout } = await run(process.execPath, [main, ...flags], { cwd: folder });
  const lines = readFileSync(json, 'utf8').trim().split('\n');
  return { table: stdout, lines: new Map(lines.map((line) => JSON.parse(line) as Line).map((one) => [one.name, one])) };
}

describe('the bench', () => {
  it('names its rows, and refuses one that there is not', async () => {
    const { stdout } = await run(process.execPath, [main, '-list']);
    expect(stdout.trim().split('\n')).toHaveLength(rows.length);
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
    await expect(run(process.execPath, [main, '-only', 'cli-start,absent'])).rejects.toMatchObject({
      code: 2,
      stderr: 'no row is called absent; -list names them\n',
    });
  });

  it('says which address of a target nobody answers at', async () => {
    for (const [target, message] of [
      [
        `server=127.0.0.1:1,admin=${folder}/no.sock`,
        `admin=${folder}/no.sock (the socket_path of the server): connect`,
      ],
      [`unix:${folder}/no.sock`, `${folder}/no.sock: connect ENOENT`],
      [`bin=${folder}`, 'spire-server'],
    ]) {
      await expect(run(process.execPath, [main, '-target', target ?? ''])).rejects.toMatchObject({
        code: 2,
        stderr: expect.stringContaining(message ?? ''),
      });
    }
  });
});

describe('a command line', () => {
  it('is refused by what is wrong with it, and then costs no earlier results', async () => {
    const earlier = path.join(folder, 'earlier.jsonl');
    writeFileSync(earlier, 'earlier');
    const absent = path.join(folder, 'absent/rows.jsonl');
    for (const [flags, message] of [
      [['-target', ''], '-target is empty'],
      [['-against', ''], '-against is empty'],
      [['-rounds', '1.5'], '-rounds: 1.5 is not a whole number'],
      [['-duration', 'x'], '-duration: x is not a positive number'],
      [['-json', absent], `-json: ENOENT: no such file or directory, open '${absent}'`],
      [['-json', earlier, '-target', `bin=${folder}`], 'spire-server'],
    ] as const) {
      await expect(run(process.execPath, [main, ...flags])).rejects.toMatchObject({
        code: 2,
        stderr: expect.stringContaining(message),
      });
    }
    expect(readFileSync(earlier, 'utf8')).toBe('earlier');
  });
});

describe('rows of a target that the bench starts', () => {
  it('have all their numbers, and a line in the table', { timeout: PATIENCE_MS }, async () => {
    const names = ['load-ceiling', 'x509-svid-10-per-call-8-conns', 'server-restart-0', 'cli-start'];
    const { table, lines } = await bench(`bin=${bin}`, names);
    const good = { errors: 0, ops_per_s: positive, ops_per_cpu_s: positive, p50_ms: positive, p99_ms: positive };
    const wanted = names.map((name) => [name, { name, ...good, rss_mb: positive, verified: positive }]);
    expect(Object.fromEntries(lines)).toMatchObject(Object.fromEntries(wanted) as object);
    for (const name of names) expect(table).toMatch(new RegExp(`^${name} +\\d`, 'm'));
  });
});

/** What a server has. */
async function heldBy(adminSocket: string): Promise<{ readonly entries: readonly string[]; readonly agents: number }> {
  const admin = connectUnix(adminSocket);
  try {
    const { entries } = await admin.call(entryService(), 'ListEntries', {}, { timeoutMs: PATIENCE_MS });
    const { count } = await admin.call(agentService(), 'CountAgents', {}, { timeoutMs: PATIENCE_MS });
    return { entries: entries.map(({ id }) => id), agents: count };
  } finally {
    admin.close();
  }
}

describe('rows of a target that runs already', () => {
  it('are verified, and those that start programs are skipped', { timeout: 2 * PATIENCE_MS }, async () => {
    // Both look for changes more often than they do by themselves, so that this does not wait for it.
    const config = {
      server: 'experimental { cache_reload_interval = "500ms" }',
      agent: 'experimental { sync_interval = "500ms" }',
    };
    await using site = await layOutSite({ bin, config });
    await site.startServer();
    await site.startAgent();
    // Sockets without a key are asked what they are.
    const target = `${site.address},${site.at.workloadSocket},unix:${site.at.adminSocket},name=running`;
    const names = ['entry-sync-idle', 'fetch-x509-svid-100-callers-paced', 'validate-jwt-svid-1-callers'];
    const { lines } = await bench(target, [...names, 'server-start-0', 'idle-agent']);
    const good = { target: 'running', errors: 0, ops: positive, verified: positive, p99_ms: positive, stalls: number };
    expect(Object.fromEntries(lines)).toMatchObject(Object.fromEntries(names.map((name) => [name, good])));
    const numbers = ['ops_per_s', 'ops_per_cpu_s', 'p50_ms', 'p99_ms', 'rss_mb', 'errors'];
    for (const name of ['server-start-0', 'idle-agent']) {
      expect(lines.get(name)?.skipped).toMatch(/bin=DIR/);
      expect(Object.keys(lines.get(name) ?? {})).toEqual(expect.arrayContaining(numbers));
    }
    // Again, on a server that has seen the bench before; and whatever was made on it is gone each time.
    const again = ['x509-svid-10-per-call-8-conns', 'attest-join-token', 'entry-create', 'entry-change-to-workload'];
    for (let run = 0; run < 2; run += 1) {
      const made = await bench(target, again);
      const found = { target: 'running', errors: 0, ops: positive, ops_per_cpu_s: positive };
      expect(Object.fromEntries(made.lines)).toMatchObject(Object.fromEntries(again.map((name) => [name, found])));
      expect(await heldBy(site.at.adminSocket)).toEqual({ entries: [], agents: 1 });
    }
  });
});

describe('a run that is cut short', () => {
  const running = new Set<ChildProcess>();
  afterEach(() => {
    for (const child of running) child.kill('SIGTERM');
    running.clear();
  });

  /** Processes that have a path in their command line. */
  const processesOf = (text: string): string[] =>
    readdirSync('/proc').filter((pid) => {
      try {
        return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text);
      } catch {
        // It has just ended.
        return false;
      }
    });

  /** A run in a temporary folder of its own, once its server and its agent have both made their sockets. */
  async function midway(
    before: readonly string[] = [],
  ): Promise<{ readonly child: ChildProcess; readonly temporary: string }> {
    const temporary = mkdtempSync(path.join(folder, 't-'));
    const options = `${process.env['NODE_OPTIONS'] ?? ''} --import=data:text/javascript,process.on('SIGUSR2',()=>{throw(1)})`;
    const [command, ...args] = [
      ...before,
      process.execPath,
      main,
      '-only',
      'fetch-x509-svid-1-callers',
      '-duration',
      '600',
    ];
    const child = spawn(command, args, {
      env: { ...process.env, TMPDIR: temporary, NODE_OPTIONS: options, npm_lifecycle_event: 'bench' },
      stdio: 'ignore',
    });
    const served = (name: string): boolean =>
      readdirSync(temporary).some((site) => existsSync(path.join(temporary, site, name, 'api.sock')));
    running.add(child);
    await expect.poll(() => [served('private'), served('public')], within).toEqual([true, true]);
    expect(processesOf(temporary).length).toBeGreaterThanOrEqual(2);
    return { child, temporary };
  }

  const nothingLeft = async (temporary: string): Promise<void> => {
    await expect.poll(() => processesOf(temporary), within).toEqual([]);
    await expect.poll(() => readdirSync(temporary), within).toEqual([]);
  };

  it('leaves neither processes nor files, whatever cuts it short', { timeout: PATIENCE_MS }, async () => {
    const ends = [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      // Has the bench throw an error that nobody catches.
      ['SIGUSR2', 1],
    ] as const;
    const cut = async ([signal, code]: (typeof ends)[number]): Promise<void> => {
      const { child, temporary } = await midway();
      const ended = once(child, 'exit');
      child.kill(signal);
      expect([signal, ...((await ended) as unknown[])]).toEqual([signal, code, null]);
      await nothingLeft(temporary);
    };
    // npm ends without a word to what it runs.
    const orphan = async (): Promise<void> => {
      const { child, temporary } = await midway(['sh', '-c', '"$0" "$@"; exit']);
      child.kill('SIGKILL');
      await nothingLeft(temporary);
    };
    await Promise.all([...ends.map(cut), orphan()]);
  });
});
