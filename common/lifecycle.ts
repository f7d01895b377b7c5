import { messageOf } from './errors.ts';

/** A long-running piece of work. It returns when `signal` aborts and throws only when it cannot go on. */
export type Task = (signal: AbortSignal) => Promise<void>;

/**
 * Runs tasks side by side until `signal` aborts or one of them ends with an error; then the rest are told to stop and
 * are awaited. A task that returns early simply is done.
 *
 * @throws the first task's error, prefixed by the task's name in its `cause` chain
 */
export async function runTasks(tasks: Readonly<Record<string, Task>>, signal: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const linked = AbortSignal.any([signal, stop.signal]);
  let failed = false;
  let failure: unknown;
  await Promise.all(
    Object.values(tasks).map(async (task) => {
      try {
        await task(linked);
      } catch (error) {
        if (!failed && !linked.aborted) {
          failed = true;
          failure = error;
          stop.abort();
        }
      }
    }),
  );
  if (failed) throw failure;
}

/** Something that holds resources until it is closed. */
export interface Closable {
  close(): Promise<void> | void;
}

/** A process, or the heart of one, at work. */
export interface Running extends Closable {
  /** Settles when everything has ended and is closed; rejects with what made it end. */
  readonly done: Promise<void>;
  /** Stops gracefully; resolves when everything is closed. */
  close(): Promise<void>;
}

/**
 * Runs the tasks until one fails or the result is closed, then closes `resources`.
 *
 * @param stop ends the tasks when aborted; given when something else has to end with them
 */
export function supervise(
  tasks: Readonly<Record<string, Task>>,
  resources: CloseStack,
  stop = new AbortController(),
): Running {
  const done = runAndClose(tasks, resources, stop.signal);
  // Whoever waits for `done` hears of a failure; nobody waiting must not end the process.
  done.catch(() => undefined);
  return {
    done,
    close() {
      stop.abort();
      return done;
    },
  };
}

async function runAndClose(
  tasks: Readonly<Record<string, Task>>,
  resources: CloseStack,
  signal: AbortSignal,
): Promise<void> {
  try {
    await runTasks(tasks, signal);
  } finally {
    await resources.close();
  }
}

/** Closes what was opened, in reverse order; goes on after a failure and reports the first one at the end. */
export class CloseStack {
  readonly #open: { readonly name: string; close(): Promise<void> | void }[] = [];

  use<T extends Closable>(name: string, resource: T): T {
    this.defer(name, () => resource.close());
    return resource;
  }

  defer(name: string, close: () => Promise<void> | void): void {
    this.#open.push({ name, close });
  }

  async close(): Promise<void> {
    const failures: Error[] = [];
    for (let one = this.#open.pop(); one !== undefined; one = this.#open.pop()) {
      try {
        await one.close();
      } catch (error) {
        failures.push(new Error(`closing ${one.name}: ${messageOf(error)}`, { cause: error }));
      }
    }
    if (failures[0] !== undefined) throw failures[0];
  }
}
