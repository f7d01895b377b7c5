import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../common/clock.ts';
import { silentLogger } from '../../../common/log/logger.ts';
import { subject } from '../../../common/observable.ts';
import { parseSpiffeId, type SpiffeId } from '../../../spiffe/id.ts';
import type { IndexChange } from '../../entries/concerned.ts';
import { type ChangeStream, changeStreams, type Turn } from './change-streams.ts';

const agent = (name: string | number): SpiffeId => parseSpiffeId(`spiffe://example.org/spire/agent/${name}`);

/** Streams over an index in which every entry's parent is the agent it concerns. */
function begin() {
  const clock = new ManualClock();
  const bundleChanges = subject(0);
  const listeners = new Set<(change: IndexChange) => void>();
  let asked = 0;
  const streams = changeStreams({
    index: {
      onChange(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
      concerned(changes, agents) {
        asked += 1;
        const parents = [...changes].flatMap((change) => (change.kind === 'entry' ? [change.parent] : []));
        return new Set(parents.filter((parent) => agents.has(parent)));
      },
    },
    ...{ bundleChanges, clock, log: silentLogger },
    jitter: () => 0.5,
  });
  const tell = (change: IndexChange): void => listeners.forEach((listener) => listener(change));
  return {
    ...{ bundleChanges, clock, listeners, streams, tell },
    change: (of: SpiffeId): void => tell({ kind: 'entry', parent: of }),
    get asked() {
      return asked;
    },
  };
}

/** Follows a stream to its end. */
function follow(stream: ChangeStream): Turn[] {
  const turns: Turn[] = [];
  const run = async (): Promise<void> => {
    for (;;) {
      const turn = await stream.next();
      turns.push(turn);
      if (turn !== 'hint' && turn !== 'check') return stream.leave();
    }
  };
  void run();
  return turns;
}

/** Of a call that goes on. */
const open = (): AbortSignal => new AbortController().signal;

describe('streams of hints', () => {
  it('tell of a change at once, and only the agent that it concerns', async () => {
    const { change, clock, streams } = begin();
    const [mine, others] = [follow(streams.join(agent('a'), open())), follow(streams.join(agent('b'), open()))];
    change(agent('a'));
    await clock.advance(0);
    expect([mine, others]).toEqual([['hint'], []]);
  });

  it('tell of a burst four times a second, and once after its end', async () => {
    const { change, clock, streams } = begin();
    const turns = follow(streams.join(agent('a'), open()));
    for (let n = 0; n < 100; n += 1) {
      change(agent('a'));
      await clock.advance(10);
    }
    await clock.advance(1000);
    expect(turns.length).toBeGreaterThanOrEqual(4);
    expect(turns.length).toBeLessThanOrEqual(6);
    const before = turns.length;
    await clock.advance(1000);
    expect(turns).toHaveLength(before);
  });

  it('find out once for many changes whom they concern', async () => {
    const world = begin();
    const turns = follow(world.streams.join(agent('a'), open()));
    for (let n = 0; n < 1000; n += 1) world.change(agent('a'));
    await world.clock.advance(0);
    expect([turns, world.asked]).toEqual([['hint'], 1]);
  });

  it('spread the hints of a change that concerns many', async () => {
    const { bundleChanges, clock, streams } = begin();
    const all = Array.from({ length: 1000 }, (_, n) => follow(streams.join(agent(n), open())));
    bundleChanges.publish(1);
    await clock.advance(249);
    expect(all.flat()).toEqual([]);
    await clock.advance(1);
    expect(all.flat()).toHaveLength(1000);
  });

  it('look after their agent when its node changes, and hint only if its selectors did', async () => {
    const { clock, streams, tell } = begin();
    const turns = follow(streams.join(agent('a'), open()));
    tell({ kind: 'node', id: agent('a'), selectors: false });
    tell({ kind: 'node', id: agent('b'), selectors: false });
    await clock.advance(1000);
    expect(turns).toEqual(['check']);
  });

  it('make room for a newer one of the same agent', async () => {
    const { change, clock, streams } = begin();
    const old = follow(streams.join(agent('a'), open()));
    const newer = follow(streams.join(agent('a'), open()));
    await clock.advance(0);
    change(agent('a'));
    await clock.advance(0);
    expect([old, newer]).toEqual([['displaced'], ['hint']]);
  });

  it('end with their call, and of old age; then nobody listens any more', async () => {
    const { clock, listeners, streams } = begin();
    const call = new AbortController();
    const gone = follow(streams.join(agent('a'), call.signal));
    const old = follow(streams.join(agent('b'), open()));
    expect(listeners.size).toBe(1);
    call.abort();
    await clock.advance(180_000);
    expect([gone, old]).toEqual([['over'], ['aged']]);
    expect([listeners.size, clock.sleeping]).toEqual([0, 0]);
  });
});
