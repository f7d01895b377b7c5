import { pause } from '../paging.ts';

/** Writers of one transaction at most: what more there are wait for the next one. */
const MAX_MEMBERS = 64;
/** After so long a group is committed with what it has, as nothing else of the process runs meanwhile. */
const GROUP_MS = 10;

/** What groups are made of. */
export interface GroupOptions<Tx> {
  /** Runs `work` in a transaction and commits it durably; nothing is kept when that or `work` fails. */
  readonly transaction: <T>(work: (tx: Tx) => Promise<T>) => Promise<T>;
  /** Runs a statement on the connection of the transactions. */
  readonly execute: (statement: 'savepoint member' | 'release member' | 'rollback to member') => void;
  /** Milliseconds of a clock that does not jump. */
  readonly steady: () => number;
}

/** Writes that share transactions. */
export interface GroupedWrites<Tx> {
  /**
   * Runs `work` in a transaction and resolves when that is committed. The transaction may be shared with others: `work`
   * sees what they did before it, and what it did itself is undone alone when it throws. A commit that fails is an error
   * to all of them.
   */
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Resolves when all who asked have been answered. */
  idle(): Promise<void>;
}

/** One writer of a group. */
interface Member<Tx> {
  /** Does the work; @returns what tells the writer so, once the work is committed */
  run(tx: Tx): Promise<() => void>;
  fail(error: unknown): void;
}

/**
 * One commit, and so one wait for the disk, for all who ask in the same turn of the event loop: SQLite waits without
 * letting the process do anything else, so whoever comes during one commit is there for the next. A lone writer waits for
 * no one, only for the end of the turn. Between two groups the process has a turn for other work.
 */
export function groupedWrites<Tx>(options: GroupOptions<Tx>): GroupedWrites<Tx> {
  const waiting: Member<Tx>[] = [];
  let draining: Promise<void> | undefined;

  const drain = async (): Promise<void> => {
    while (waiting.length > 0) {
      await pause();
      waiting.unshift(...(await commitGroup(options, waiting.splice(0, MAX_MEMBERS))));
    }
    draining = undefined;
  };

  return {
    write: (work) =>
      new Promise((resolve, reject) => {
        const run = async (tx: Tx): Promise<() => void> => {
          const result = await work(tx);
          return () => resolve(result);
        };
        waiting.push({ run, fail: reject });
        draining ??= drain();
      }),
    idle: async () => draining,
  };
}

/** @returns the members for which there was no time */
async function commitGroup<Tx>(
  options: GroupOptions<Tx>,
  group: readonly Member<Tx>[],
): Promise<readonly Member<Tx>[]> {
  const { transaction, steady } = options;
  const outcomes: (() => void)[] = [];
  let late: readonly Member<Tx>[] = [];
  try {
    await transaction(async (tx) => {
      const begun = steady();
      for (const [n, member] of group.entries()) {
        if (n > 0 && steady() - begun > GROUP_MS) {
          late = group.slice(n);
          return;
        }
        outcomes.push(group.length === 1 ? await member.run(tx) : await runAlone(options, tx, member));
      }
    });
    for (const tell of outcomes) tell();
  } catch (error) {
    for (const member of group.slice(0, group.length - late.length)) member.fail(error);
  }
  return late;
}

/** A member's work, undone without its neighbours' when it fails. What it fails with is told after the commit as well. */
async function runAlone<Tx>({ execute }: GroupOptions<Tx>, tx: Tx, member: Member<Tx>): Promise<() => void> {
  execute('savepoint member');
  try {
    const tell = await member.run(tx);
    execute('release member');
    return tell;
  } catch (error) {
    try {
      execute('rollback to member');
      execute('release member');
    } catch {
      // After some errors, such as a full disk, SQLite has rolled back the whole transaction, and all have to know why.
      throw error;
    }
    return () => member.fail(error);
  }
}
