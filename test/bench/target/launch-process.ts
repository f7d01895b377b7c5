import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import path from 'node:path';
import { keepTrackOf } from './leftovers.ts';

/** How a program is started. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
}

/** How long a process may take to end after SIGTERM before it is killed, in milliseconds. */
const STOP_MS = 10_000;
/** So much of the end of a log is shown when a process fails. */
const SHOWN_LOG = 2000;

/**
 * A program of a `bin=` folder. Scripts for Node run in the Node that runs the bench, so that `node` on the PATH does not
 * decide what is measured.
 *
 * @param nodeFlags for scripts only, before the script
 */
export function programIn(folder: string, name: string, nodeFlags: readonly string[] = []): Program {
  const file = path.resolve(folder, name);
  const head = Buffer.alloc(64);
  const fd = openSync(file, 'r');
  try {
    readSync(fd, head);
  } finally {
    closeSync(fd);
  }
  const [first = ''] = head.toString('latin1').split('\n', 1);
  const isNodeScript = first.startsWith('#!') && /\bnode\b/.test(first);
  return isNodeScript ? { command: process.execPath, args: [...nodeFlags, file] } : { command: file, args: [] };
}

/** A daemon that can be started again and again; its output goes to a file. */
export class LaunchedProcess {
  readonly name: string;
  readonly #program: Program;
  readonly #args: readonly string[];
  readonly #log: string;
  readonly #env: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;

  /** @param log file that the output is appended to; `env` is added to that of the bench */
  constructor(
    name: string,
    options: {
      readonly program: Program;
      readonly args: readonly string[];
      readonly log: string;
      readonly env?: Readonly<Record<string, string>>;
    },
  ) {
    this.name = name;
    this.#program = options.program;
    this.#args = options.args;
    this.#log = options.log;
    this.#env = options.env ?? {};
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts it; whether it serves is another question. @param more arguments for this time only */
  start(more: readonly string[] = []): void {
    if (this.running) throw new Error(`${this.name} runs already`);
    const log = openSync(this.#log, 'a');
    try {
      const args = [...this.#program.args, ...this.#args, ...more];
      const env = { ...process.env, ...this.#env };
      this.#child = keepTrackOf(spawn(this.#program.command, args, { stdio: ['ignore', log, log], env }));
      // What cannot be started has no `exit`; `failure` says what happened.
      this.#child.on('error', (error) => (this.#startError = error));
    } finally {
      closeSync(log);
    }
  }

  #startError: Error | undefined;

  /** Why it does not run any more, with the end of its log; undefined while it runs. */
  failure(): Error | undefined {
    if (this.running && this.#startError === undefined) return undefined;
    const how = this.#startError?.message ?? `exit code ${this.#child?.exitCode ?? this.#child?.signalCode}`;
    return new Error(`${this.name} has ended (${how}); its log ends with:\n${this.logTail()}`);
  }

  /** The end of what it printed. */
  logTail(): string {
    return readFileSync(this.#log, 'utf8').slice(-SHOWN_LOG);
  }

  /** Ends it, with SIGKILL when SIGTERM is not heard; resolves once it is gone. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.running || child.pid === undefined) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const impatient = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(impatient);
  }
}
