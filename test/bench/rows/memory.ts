import { setTimeout as sleep } from 'node:timers/promises';
import { connectUnix } from '../../../common/rpc/client.ts';
import { healthService } from '../../../common/rpc/services.ts';
import { addLatency, newLatencies } from '../histogram.ts';
import type { Measured, Row } from '../row.ts';
import { cpuSecondsOf, listenerPid, rssMbOf } from '../target/process.ts';
import { startServed } from './self.ts';

/**
 * Memory is taken as settled when it moves by less than this share for so long, and at the latest after two minutes. V8
 * gives memory back some eight seconds after a process fell idle; the reference looks at its database every five.
 */
const SETTLED_SHARE = 0.01;
const SETTLED_MS = 10_000;
const QUICK_SETTLED_MS = 500;
const SETTLE_LIMIT_MS = 120_000;
/** Health checks after that. */
const WAKING_CALLS = 20;

/** Waits until the memory of a process no longer moves; operations are the calls that wake it up afterwards. */
async function idleMemory(socketPath: string, settledMs: number): Promise<Measured> {
  const pid = await listenerPid(socketPath);
  const began = performance.now();
  const cpuBefore = cpuSecondsOf(pid);
  let [low, high, since] = [rssMbOf(pid), rssMbOf(pid), performance.now()];
  let highest = high;
  while (performance.now() - since < settledMs && performance.now() - began < SETTLE_LIMIT_MS) {
    await sleep(100);
    const rss = rssMbOf(pid);
    [low, high, highest] = [Math.min(low, rss), Math.max(high, rss), Math.max(highest, rss)];
    if (high - low > high * SETTLED_SHARE) [low, high, since] = [rss, rss, performance.now()];
  }
  const seconds = (performance.now() - began) / 1000;
  const cpuSeconds = cpuSecondsOf(pid) - cpuBefore;
  const rssMb = rssMbOf(pid);
  const cpuBeforeCalls = cpuSecondsOf(pid);
  const calls = await wakingCalls(socketPath);
  return {
    ...calls,
    cpuSeconds: cpuSecondsOf(pid) - cpuBeforeCalls,
    rssMb,
    extra: { highest_mb: highest, idle_cpu_percent: (cpuSeconds / seconds) * 100 },
  };
}

/** What the first callers wait for after nobody asked for anything: a sign of life. */
async function wakingCalls(socketPath: string): Promise<Measured> {
  const latencies = newLatencies();
  const wrong: string[] = [];
  const channel = connectUnix(socketPath);
  const began = performance.now();
  try {
    for (let n = 0; n < WAKING_CALLS; n += 1) {
      const asked = performance.now();
      const { status } = await channel.call(healthService(), 'Check', {}, { timeoutMs: SETTLED_MS });
      addLatency(latencies, performance.now() - asked);
      if (status !== 'SERVING') wrong.push(`the process calls itself ${status}`);
    }
  } finally {
    channel.close();
  }
  const seconds = (performance.now() - began) / 1000;
  return { ops: WAKING_CALLS, seconds, failures: {}, latencies, wrong, verified: WAKING_CALLS };
}

const settledMs = ({ shrink }: { readonly shrink: number }): number => (shrink > 1 ? QUICK_SETTLED_MS : SETTLED_MS);

function idleServerRow(name: string, size: number): Row {
  return {
    name,
    what: `memory of a server that has ${size.toLocaleString('en')} entries and nothing to do`,
    needs: 'bin',
    async run(bench) {
      const site = await bench.site(Math.ceil(size / bench.shrink));
      await site.startServer();
      return idleMemory(site.at.adminSocket, settledMs(bench));
    },
  };
}

const idleAgentRow: Row = {
  name: 'idle-agent',
  what: 'memory of an agent with one SVID, and nothing to do',
  needs: 'bin',
  async run(bench) {
    const site = await bench.site(0);
    await site.startServer();
    await startServed(site, { name: 'self', series: 'be9c0004' });
    return idleMemory(site.at.workloadSocket, settledMs(bench));
  },
};

export const memoryRows: readonly Row[] = [
  idleServerRow('idle-server', 0),
  idleServerRow('idle-server-1m', 1_000_000),
  idleAgentRow,
];
