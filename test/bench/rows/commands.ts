import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { addLatency, newLatencies } from '../histogram.ts';
import type { Bench, Measured, Row } from '../row.ts';
import { programIn } from '../target/launch-process.ts';
import { keepTrackOf } from '../target/leftovers.ts';
import { endedChildrenCpuSeconds, watchMemory } from '../target/process.ts';

const RUNS = 15;

/** Runs a command of `spire-server` to its end, again and again. */
async function runAgain(bench: Bench, words: readonly string[], expected: RegExp): Promise<Measured> {
  const { args, command } = programIn(bench.bin, 'spire-server');
  const latencies = newLatencies();
  const wrong: string[] = [];
  let rssMb = 0;
  const runs = bench.shrink > 1 ? 1 : RUNS;
  const [began, cpuBefore] = [performance.now(), endedChildrenCpuSeconds()];
  for (let n = 0; n < runs; n += 1) {
    const started = performance.now();
    const child = keepTrackOf(spawn(command, [...args, ...words], { stdio: ['ignore', 'pipe', 'pipe'] }));
    using watch = watchMemory(child.pid);
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (printed += String(part)));
    const [code] = (await once(child, 'close')) as [number | null];
    addLatency(latencies, performance.now() - started);
    rssMb = Math.max(rssMb, watch.highest());
    if (code !== 0 || !expected.test(printed)) wrong.push(`${words[0]} ended with ${code}: ${printed.trim()}`);
  }
  const seconds = (performance.now() - began) / 1000;
  const cpuSeconds = endedChildrenCpuSeconds() - cpuBefore;
  const counts = { ops: runs, seconds, failures: {}, wrong, verified: runs };
  return { ...counts, latencies, cpuSeconds, rssMb, extra: { cpu_ms: (cpuSeconds / runs) * 1000 } };
}

export const commandRows: readonly Row[] = [
  {
    name: 'cli-start',
    what: 'spire-server --version, from its start to its end',
    needs: 'bin',
    run: (bench) => runAgain(bench, ['--version'], /\d+\.\d+\.\d+/),
  },
  {
    name: 'cli-healthcheck',
    what: 'spire-server healthcheck with an answer of the server, from its start to its end',
    needs: 'bin',
    async run(bench) {
      const { adminSocket } = await bench.server(0);
      return runAgain(bench, ['healthcheck', '-socketPath', adminSocket], /healthy/);
    },
  },
];
