import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../support/daemons.ts';
import { connectRaw, opening } from '../../support/raw-http2.ts';
import { ending, messageHead, openSession, startCall } from '../../support/raw-http2-session.ts';
import { scratchFolder } from '../../support/scratch.ts';
import { type Arena, type Attack, type Door, openArena } from './arena.ts';
import { many } from './connections.ts';
import { processState } from './process-state.ts';

const DESCRIPTORS = 400;

const folder = scratchFolder();
const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;
if (!hasPrlimit) console.warn('tests of missing descriptors skipped: there is no prlimit(1) here');

let arena: Arena | undefined;
beforeAll(async () => {
  if (hasPrlimit) arena = await openArena(folder, { descriptors: DESCRIPTORS });
}, 60_000);
afterAll(() => arena?.stop());

function limitDescriptors(pid: number, count: number): void {
  const { status, stderr } = spawnSync('prlimit', ['--pid', String(pid), `--nofile=${count}:`]);
  if (status !== 0) throw new Error(String(stderr));
}

/** How one call by a new client ends; a stream that goes on counts as answered with its first message. */
async function callAnew(one: Arena, door: Door): Promise<string> {
  const session = openSession(one.target(door));
  try {
    const stream = startCall(session, one.method(door));
    stream.end(messageHead(0));
    const first = new Promise<string>((resolve) => stream.once('data', () => resolve('answered')));
    return await Promise.race([first, ending(stream)]);
  } finally {
    session.destroy();
  }
}

/** More than one process may have: it is refused the rest, and the others do not notice. */
const moreThanItsShare: Attack = {
  name: `1,000 connections by one process, ${DESCRIPTORS} descriptors`,
  doors: ['workload'],
  async run(one, door) {
    const connections = await many(1000, () => connectRaw(one.target(door)));
    for (const connection of connections) connection.send(opening());
    await eventually('refusals', () => expect(connections.filter(({ closed }) => closed).length).toBeGreaterThan(900));
    // What is let in stays in.
    await sleep(500);
    expect(connections.filter(({ closed }) => !closed).length).toBeGreaterThanOrEqual(40);
    for (const connection of connections) connection.destroy();
  },
};

describe.runIf(hasPrlimit)('a daemon with few descriptors', () => {
  it('workload: keeps some for those who have few connections', async () => {
    await arena?.suffer(moreThanItsShare, 'workload');
  });

  it.each<Door>(['workload', 'admin', 'tcp'])(
    '%s: goes on when none is left, and serves when there are some',
    async (door) => {
      if (arena === undefined) return expect.fail('there is no arena');
      const daemon = arena.daemon(door);
      const before = processState(daemon.pid).descriptors;
      const logged = daemon.output.length;
      limitDescriptors(daemon.pid, before + 20);
      try {
        const connections = await many(100, () =>
          connectRaw(arena?.target(door) ?? { port: 0 }, { timeout: 300 }).catch(() => undefined),
        );
        await sleep(300);
        for (const one of connections) one?.destroy();
      } finally {
        limitDescriptors(daemon.pid, DESCRIPTORS);
      }
      const one = arena;
      await eventually('an answer', async () => expect(await callAnew(one, door)).toBe('answered'));
      await eventually('descriptors as before', () => {
        expect(processState(daemon.pid).descriptors).toBeLessThanOrEqual(before + 8);
      });
      expect(daemon.running).toBe(true);
      const lines = daemon.output.slice(logged).split('\n');
      expect(lines.filter((line) => /level=(error|warning|info)/.test(line)).length).toBeLessThan(100);
    },
  );
});
