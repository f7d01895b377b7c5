import type { Clock } from '../../../common/clock.ts';
import type { Logger } from '../../../common/log/logger.ts';
import type { Observable } from '../../../common/observable.ts';
import type { SpiffeId } from '../../../spiffe/id.ts';
import type { IndexChange } from '../../entries/concerned.ts';
import type { EntryIndex } from '../../entries/entry-index.ts';

/** Where changes are heard of. */
export interface ChangeStreamsDeps {
  readonly index: Pick<EntryIndex, 'onChange' | 'concerned'>;
  /** Another number after each change of a bundle. */
  readonly bundleChanges: Pick<Observable<number>, 'subscribe'>;
  readonly clock: Clock;
  /** Uniform in [0, 1); spreads agents over time and decides nothing else. */
  readonly jitter: () => number;
  readonly log: Logger;
}

/** What an open stream has to do next: */
export type Turn =
  /** tell its agent that something may have changed; */
  | 'hint'
  /** see whether its agent is still one, as its node changed; */
  | 'check'
  /** end, as it is old and the agent should look for servers anew; */
  | 'aged'
  /** end, as the agent opened another; */
  | 'displaced'
  /** end, as its call is over. */
  | 'over';

/** One agent's stream. */
export interface ChangeStream {
  /** Resolves when there is something to do. */
  next(): Promise<Turn>;
  leave(): void;
}

/** The streams of all agents that want to hear of changes. */
export interface ChangeStreams {
  /** From now on every change that may concern the agent is one `hint`; several may become one. */
  join(agent: SpiffeId, signal: AbortSignal): ChangeStream;
}

/** An agent gets no more than four hints a second. */
const BETWEEN_HINTS_MS = 250;
/** Hints for many agents are spread, so that they do not all synchronise at once. */
const MS_PER_AGENT = 0.5;
/** Later than this agents ask by themselves. */
const LONGEST_SPREAD_MS = 5000;
/** So few agents need no spreading. */
const FEW_AGENTS = 8;
/** As the age of connections (server/endpoints.ts): a stream must not keep its connection open for much longer. */
const OLDEST_MS = 3 * 60_000;
/** Finding out whom changes concern may take this share of the time. */
const SHARE = 0.1;

interface Member {
  readonly agent: SpiffeId;
  /** Milliseconds of the steady clock. */
  readonly until: number;
  due: number | undefined;
  hinted: number;
  check: boolean;
  displaced: boolean;
  wake(): void;
}

/** No streams yet. Listens only while there are some. */
export function changeStreams(deps: ChangeStreamsDeps): ChangeStreams {
  const { clock, jitter } = deps;
  const members = new Map<SpiffeId, Member>();
  let stopListening: (() => void) | undefined;

  const hint = (agents: Iterable<SpiffeId>, count: number): void => {
    const spread = count <= FEW_AGENTS ? 0 : Math.min(LONGEST_SPREAD_MS, count * MS_PER_AGENT);
    for (const agent of agents) {
      const member = members.get(agent);
      if (member === undefined) continue;
      const due = Math.max(clock.steady() + jitter() * spread, member.hinted + BETWEEN_HINTS_MS);
      if (member.due !== undefined && member.due <= due) continue;
      member.due = due;
      member.wake();
    }
  };
  const entriesChanged = batching(deps, (changes) => {
    const agents = deps.index.concerned(changes, new Set(members.keys()));
    hint(agents, agents.size);
  });
  const listen = (): (() => void) => {
    const stops = [
      deps.index.onChange((change) => {
        const member = change.kind === 'node' ? members.get(change.id) : undefined;
        if (member !== undefined) {
          member.check = true;
          member.wake();
        }
        if (change.kind !== 'node' || change.selectors) entriesChanged(change);
      }),
      deps.bundleChanges.subscribe(() => hint(members.keys(), members.size)),
    ];
    return () => stops.forEach((stop) => stop());
  };

  return {
    join(agent, signal) {
      const until = clock.steady() + OLDEST_MS * (0.9 + 0.2 * jitter());
      const member: Member = {
        ...{ agent, until, due: undefined, check: false, displaced: false },
        hinted: Number.NEGATIVE_INFINITY,
        wake: () => undefined,
      };
      const before = members.get(agent);
      if (before !== undefined) {
        before.displaced = true;
        before.wake();
      }
      members.set(agent, member);
      stopListening ??= listen();
      const wake = (): void => member.wake();
      signal.addEventListener('abort', wake, { once: true });
      return {
        next: () => nextTurn(member, clock, signal),
        leave() {
          signal.removeEventListener('abort', wake);
          if (members.get(agent) === member) members.delete(agent);
          if (members.size > 0) return;
          stopListening?.();
          stopListening = undefined;
        },
      };
    },
  };
}

async function nextTurn(member: Member, clock: Clock, signal: AbortSignal): Promise<Turn> {
  for (;;) {
    if (signal.aborted) return 'over';
    if (member.displaced) return 'displaced';
    if (member.check) {
      member.check = false;
      return 'check';
    }
    const now = clock.steady();
    if (member.due !== undefined && member.due <= now) {
      member.due = undefined;
      member.hinted = now;
      return 'hint';
    }
    if (member.until <= now) return 'aged';
    const woken = new AbortController();
    member.wake = () => woken.abort();
    // Broken off by `wake`, after which there is something to do.
    await clock.sleep(Math.min(member.due ?? member.until, member.until) - now, woken.signal).catch(() => undefined);
    member.wake = () => undefined;
  }
}

/** Gathers changes and works them off together, the next ones after nine times the time that the last ones took. */
function batching(
  { clock, log }: ChangeStreamsDeps,
  work: (changes: readonly IndexChange[]) => void,
): (change: IndexChange) => void {
  let waiting: IndexChange[] = [];
  let notBefore = 0;
  const flush = (): void => {
    const changes = waiting;
    waiting = [];
    const began = clock.steady();
    try {
      work(changes);
    } catch (error) {
      // Agents ask by themselves every few seconds; a defect here must not end the server.
      log.error('Failed to tell agents of changes', { error });
    }
    const ended = clock.steady();
    notBefore = ended + (ended - began) * (1 / SHARE - 1);
  };
  return (change) => {
    waiting.push(change);
    if (waiting.length > 1) return;
    void clock.sleep(Math.max(0, notBefore - clock.steady())).then(flush);
  };
}
