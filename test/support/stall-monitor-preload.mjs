// Loaded into a daemon under test before its own code (node --import). Tells on the descriptor in FINIAL_STALL_FD, a line
// of JSON each, the turns of the event loop in which the main thread itself computed for long.
import { writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import koffi from 'koffi';

/** How often the loop should get to its timers, milliseconds. */
const TICK_MS = 5;
/** Told from here on, milliseconds of processor time; what counts is for whoever reads it to say. */
const TOLD_MS = 25;
/** clock_gettime(2): processor time of the calling thread, which does not grow while it waits for a processor. */
const CLOCK_THREAD_CPUTIME_ID = 3;

const clockGettime = koffi.load(null).func('int clock_gettime(int, void *)');
const time = new BigInt64Array(2);
const cpuMs = () => {
  clockGettime(CLOCK_THREAD_CPUTIME_ID, time);
  return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
};
/** I/O events that the loop handled; Node counts them from 20.18 on. */
const events = () => performance.nodeTiming.uvMetricsInfo?.events ?? 0;

const fd = Number(process.env['FINIAL_STALL_FD']);
let last = { cpu: cpuMs(), wall: performance.now(), events: events() };
setInterval(() => {
  const now = { cpu: cpuMs(), wall: performance.now(), events: events() };
  const turn = { cpuMs: now.cpu - last.cpu, wallMs: now.wall - last.wall, events: now.events - last.events };
  last = now;
  if (turn.cpuMs < TOLD_MS) return;
  try {
    writeSync(fd, `${JSON.stringify({ at: Date.now(), ...turn })}\n`);
  } catch {
    // The test that started this process is gone, and with it whoever wanted to know.
  }
}, TICK_MS).unref();
