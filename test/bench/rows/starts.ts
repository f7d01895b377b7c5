import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectUnix } from '../../../common/rpc/client.ts';
import { entryService } from '../../../common/rpc/services.ts';
import { addLatency, newLatencies } from '../histogram.ts';
import type { Bench, Measured, Row } from '../row.ts';
import { programIn } from '../target/launch-process.ts';
import type { Started } from '../target/launch-ready.ts';
import { cpuSecondsOf, listenerPid, rssMbOf } from '../target/process.ts';

const SIZES = [
  ['0', 0],
  ['100k', 100_000],
  ['1m', 1_000_000],
] as const;
const REPETITIONS = 5;
const CLI_RUNS = 10;
/** Memory is taken as settled when it moves by less than 1% for so long, and at the latest after a minute. */
const SETTLED_MS = 3000;
const SETTLE_LIMIT_MS = 60_000;

const repetitionsOf = (bench: Bench, entries: number): number =>
  bench.shrink > 1 ? 1 : entries >= 1_000_000 ? 2 : REPETITIONS;

/** What a number of starts came to; the wait until healthy and the CPU stand beside it. */
function startsMeasured(
  starts: readonly Started[],
  cpu: readonly number[],
  rss: number,
  wrong: readonly string[],
): Measured {
  const latencies = newLatencies();
  for (const { answeredMs } of starts) addLatency(latencies, answeredMs);
  const mean = (of: readonly number[]): number => of.reduce((sum, one) => sum + one, 0) / of.length;
  return {
    ops: starts.length,
    seconds: starts.reduce((sum, { answeredMs }) => sum + answeredMs, 0) / 1000,
    ...{ failures: {}, latencies, rssMb: rss, wrong, verified: starts.length },
    cpuSeconds: cpu.reduce((sum, one) => sum + one, 0),
    extra: { healthy_ms: mean(starts.map(({ healthyMs }) => healthyMs)), cpu_ms: mean(cpu) * 1000 },
  };
}

/** @param again whether starts after the first are measured, on the files that the first one left */
function serverStartRow(label: string, size: number, again: boolean): Row {
  return {
    name: `server-${again ? 'restart' : 'start'}-${label}`,
    what: `a server started with ${size.toLocaleString('en')} entries${again ? ' on files it knows' : ''}, until its first answer`,
    needs: 'bin',
    async run(bench) {
      const entries = Math.ceil(size / bench.shrink);
      const [starts, cpu, wrong]: [Started[], number[], string[]] = [[], [], []];
      let rss = 0;
      let site = await bench.site(entries);
      if (again) {
        await site.startServer();
        await site.server.stop();
      }
      for (let n = 0; n < repetitionsOf(bench, size); n += 1) {
        if (!again && n > 0) site = await bench.site(entries);
        starts.push(await site.startServer());
        const pid = await listenerPid(site.at.adminSocket);
        cpu.push(cpuSecondsOf(pid));
        rss = Math.max(rss, rssMbOf(pid));
        const found = await countEntries(site.at.adminSocket);
        if (found !== entries) wrong.push(`${found} entries instead of ${entries}`);
        await site.server.stop();
      }
      return startsMeasured(starts, cpu, rss, wrong);
    },
  };
}

async function countEntries(adminSocket: string): Promise<number> {
  const admin = connectUnix(adminSocket);
  try {
    return (await admin.call(entryService(), 'CountEntries', {}, { timeoutMs: 60_000 })).count;
  } finally {
    admin.close();
  }
}

const agentStartRow: Row = {
  name: 'agent-restart',
  what: 'an agent started on the SVID that it has, until the Workload API answers',
  needs: 'bin',
  async run(bench) {
    const site = await bench.site(0);
    await site.startServer();
    await site.startAgent();
    const [starts, cpu]: [Started[], number[]] = [[], []];
    let rss = 0;
    for (let n = 0; n < repetitionsOf(bench, 0); n += 1) {
      await site.agent.stop();
      starts.push(await site.startAgent());
      const pid = await listenerPid(site.at.workloadSocket);
      cpu.push(cpuSecondsOf(pid));
      rss = Math.max(rss, rssMbOf(pid));
    }
    return startsMeasured(starts, cpu, rss, []);
  },
};

/** Waits until the memory of a process no longer moves; an operation is a second of idleness. */
async function idleMemory(pid: number): Promise<Measured> {
  const began = performance.now();
  const cpuBefore = cpuSecondsOf(pid);
  let [low, high, since] = [rssMbOf(pid), rssMbOf(pid), performance.now()];
  while (performance.now() - since < SETTLED_MS && performance.now() - began < SETTLE_LIMIT_MS) {
    await sleep(100);
    const rss = rssMbOf(pid);
    low = Math.min(low, rss);
    high = Math.max(high, rss);
    if (high - low > high * 0.01) [low, high, since] = [rss, rss, performance.now()];
  }
  const seconds = (performance.now() - began) / 1000;
  const cpuSeconds = cpuSecondsOf(pid) - cpuBefore;
  const idle = { failures: {}, latencies: newLatencies(), wrong: [], verified: 1 };
  return { ...idle, ops: 1, seconds, rssMb: rssMbOf(pid), extra: { idle_cpu_percent: (cpuSeconds / seconds) * 100 } };
}

function idleServerRow(name: string, size: number): Row {
  return {
    name,
    what: `memory of a server that has ${size.toLocaleString('en')} entries and nothing to do`,
    needs: 'bin',
    async run(bench) {
      const site = await bench.site(Math.ceil(size / bench.shrink));
      await site.startServer();
      return idleMemory(await listenerPid(site.at.adminSocket));
    },
  };
}

const idleAgentRow: Row = {
  name: 'idle-agent',
  what: 'memory of an agent that has nothing to do',
  needs: 'bin',
  async run(bench) {
    const site = await bench.site(0);
    await site.startServer();
    await site.startAgent();
    return idleMemory(await listenerPid(site.at.workloadSocket));
  },
};

const cliRow: Row = {
  name: 'cli-start',
  what: 'spire-server healthcheck, from its start to its end',
  needs: 'bin',
  async run(bench) {
    const site = await bench.site(0);
    await site.startServer();
    const latencies = newLatencies();
    const wrong: string[] = [];
    const { command, args } = programIn(bench.bin, 'spire-server');
    const began = performance.now();
    for (let n = 0; n < CLI_RUNS; n += 1) {
      const started = performance.now();
      const child = spawn(command, [...args, 'healthcheck', '-socketPath', site.at.adminSocket], { stdio: 'ignore' });
      const [code] = (await once(child, 'exit')) as [number | null];
      if (code !== 0) wrong.push(`healthcheck ended with ${code}`);
      addLatency(latencies, performance.now() - started);
    }
    const seconds = (performance.now() - began) / 1000;
    const verified = { failures: {}, wrong, verified: CLI_RUNS };
    return { ...verified, ops: CLI_RUNS, seconds, latencies };
  },
};

export const startRows: readonly Row[] = [
  ...[false, true].flatMap((again) => SIZES.map(([label, size]) => serverStartRow(label, size, again))),
  agentStartRow,
  idleServerRow('idle-server', 0),
  idleServerRow('idle-server-1m', 1_000_000),
  idleAgentRow,
  cliRow,
];
