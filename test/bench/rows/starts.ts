import { connectUnix } from '../../../common/rpc/client.ts';
import { entryService } from '../../../common/rpc/services.ts';
import { addLatency, newLatencies } from '../histogram.ts';
import type { Bench, Measured, Row } from '../row.ts';
import type { Started } from '../target/launch-ready.ts';
import { cpuSecondsOf, listenerPid, rssMbOf } from '../target/process.ts';
import { startServed, untilServed } from './self.ts';

const SIZES = [
  ['0', 0],
  ['100k', 100_000],
  ['1m', 1_000_000],
] as const;
const REPETITIONS = 5;

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

/** With an entry for this process, so that what the agent answers is an SVID. */
const agentRestartRow: Row = {
  name: 'agent-restart',
  what: 'an agent started on the SVID that it has, until a workload has its own',
  needs: 'bin',
  async run(bench) {
    const site = await bench.site(0);
    await site.startServer();
    const identity = await startServed(site, { name: 'self', series: 'be9c0003' });
    const [starts, cpu]: [Started[], number[]] = [[], []];
    let rss = 0;
    for (let n = 0; n < repetitionsOf(bench, 0); n += 1) {
      await site.agent.stop();
      starts.push(await site.startAgent({ needsIdentity: true }));
      const pid = await listenerPid(site.at.workloadSocket);
      cpu.push(cpuSecondsOf(pid));
      rss = Math.max(rss, rssMbOf(pid));
      await untilServed(site.at.workloadSocket, identity);
    }
    return startsMeasured(starts, cpu, rss, []);
  },
};

export const startRows: readonly Row[] = [
  ...[false, true].flatMap((again) => SIZES.map(([label, size]) => serverStartRow(label, size, again))),
  agentRestartRow,
];
