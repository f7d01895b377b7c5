import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Said } from './say.ts';

/** How long anything in the demo may take before it has failed. */
const PATIENCE_MS = 20_000;

/** A child process whose lines of JSON can be waited for. */
export interface Worker {
  /** Resolves to the first report of that kind that was not taken yet; rejects when the process ends without it. */
  next(event: string): Promise<Said>;
  readonly child: ChildProcess;
}

/** Everything the demo started, so that nothing is left behind. */
export class Processes {
  readonly #children: ChildProcess[] = [];

  /** Starts a daemon with its output going to `log`. */
  daemon(command: string, args: readonly string[], log: string): ChildProcess {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const file = createWriteStream(log, { flags: 'a', mode: 0o600 });
    child.stdout.pipe(file, { end: false });
    child.stderr.pipe(file, { end: false });
    this.#children.push(child);
    return child;
  }

  /** Starts a workload. */
  worker(command: string, args: readonly string[], env: Record<string, string>): Worker {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    this.#children.push(child);
    const said: Said[] = [];
    let errors = '';
    let ended = false;
    let wake = (): void => undefined;
    createInterface({ input: child.stdout }).on('line', (line) => {
      said.push(JSON.parse(line) as Said);
      wake();
    });
    child.stderr.on('data', (text) => {
      errors += String(text);
    });
    child.on('close', () => {
      ended = true;
      wake();
    });
    const next = async (event: string): Promise<Said> => {
      const deadline = Date.now() + PATIENCE_MS;
      for (;;) {
        const at = said.findIndex((one) => one.event === event);
        const [found] = at < 0 ? [] : said.splice(at, 1);
        if (found !== undefined) return found;
        const rest = said.map((one) => JSON.stringify(one)).join(' ');
        if (ended) throw new Error(`workload ended before "${event}": ${rest} ${errors}`);
        if (Date.now() > deadline) throw new Error(`no "${event}" within ${PATIENCE_MS / 1000} s: ${rest} ${errors}`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 250);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    };
    return { next, child };
  }

  async stop(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await once(child, 'exit');
      clearTimeout(timer);
    }
  }
}

/** Runs a command to its end. @throws Error with its output when it fails */
export async function output(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  let errors = '';
  child.stdout.on('data', (part) => {
    text += String(part);
  });
  child.stderr.on('data', (part) => {
    errors += String(part);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${args.join(' ')}: ${errors.trim() || text.trim() || `exit code ${code}`}`);
  return text;
}

/** Asks until it holds. @throws what it last failed with */
export async function eventually<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline)
        throw new Error(`${what} did not happen within ${PATIENCE_MS / 1000} s`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
