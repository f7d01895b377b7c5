import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { isStall, type LongTurn, longTurns, noteStall, stallMonitor, takeStalls } from './stall-monitor.ts';

const FD = 3;

/** Runs a program under the monitor to its end, and tells its long turns from the moment at which it printed "begin". */
async function monitored(program: string, meanwhile?: (child: ChildProcess) => Promise<void>): Promise<LongTurn[]> {
  const { args, env } = stallMonitor(FD);
  const child = spawn(process.execPath, [...args, '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    env: { ...process.env, ...env },
  });
  let told = '';
  let begun = Number.POSITIVE_INFINITY;
  child.stdio[FD]?.on('data', (part) => (told += String(part)));
  const closed = once(child, 'close');
  child.stdout?.once('data', (part) => (begun = Number(part)));
  if (meanwhile !== undefined) {
    if (child.stdout !== null) await once(child.stdout, 'data');
    await meanwhile(child);
  }
  await closed;
  return longTurns(told).filter(({ at, wallMs }) => at - wallMs >= begun);
}

/** Begins after the loop has turned for a while. */
const program = (body: string): string => `setTimeout(() => {
  process.stdout.write(String(Date.now()));
  setTimeout(() => { ${body} }, 100);
}, 100)`;
const keepAlive = 'setTimeout(() => undefined, 100);';
const computing = (ms: number): string =>
  `const until = process.cpuUsage().user + ${ms * 1000}; while (process.cpuUsage().user < until) Math.sqrt(2); ${keepAlive}`;

describe('the monitor of stalls', () => {
  it('finds a turn in which the process computes for long', async () => {
    const stalls = (await monitored(program(computing(150)))).filter((turn) => isStall(turn));
    expect(stalls).toHaveLength(1);
    expect(stalls[0]?.cpuMs).toBeGreaterThan(100);
  });

  it('finds one that is made of many microtasks', async () => {
    const body = `(async () => { const until = process.cpuUsage().user + 150_000; while (process.cpuUsage().user < until) await undefined; })(); ${keepAlive}`;
    expect((await monitored(program(body))).filter((turn) => isStall(turn))).toHaveLength(1);
  });

  it('does not count waiting, in a call or for a processor', async () => {
    const waiting = `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200); ${keepAlive}`;
    expect((await monitored(program(waiting))).filter((turn) => isStall(turn))).toEqual([]);
    const stopped = await monitored(program('setTimeout(() => undefined, 300);'), async (child) => {
      child.kill('SIGSTOP');
      await sleep(300);
      child.kill('SIGCONT');
    });
    expect(stopped.filter((turn) => isStall(turn))).toEqual([]);
  });

  it('takes many events in one turn for load', () => {
    expect(isStall({ cpuMs: 51, events: 1 })).toBe(true);
    expect(isStall({ cpuMs: 51, events: 8 })).toBe(true);
    expect(isStall({ cpuMs: 99, events: 16 })).toBe(false);
    expect(isStall({ cpuMs: 101, events: 16 })).toBe(true);
    expect(isStall({ cpuMs: 101, events: 1 }, 200)).toBe(false);
  });

  it('keeps what was noted until it is asked for', () => {
    noteStall('spire-server', { at: 1, cpuMs: 80.4, wallMs: 90, events: 2 });
    expect(takeStalls()).toEqual([
      'spire-server: a turn of the event loop took 80 ms of computing (90 ms in all) for 2 events',
    ]);
    expect(takeStalls()).toEqual([]);
  });
});
