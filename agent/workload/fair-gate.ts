import { FinialError } from '../../common/errors.ts';

/** Lets some work run at once and the rest wait, so that whoever asks for much does not hold up those who ask for little. */
export interface FairGate {
  /**
   * Runs `work` when it is the turn of `key`.
   *
   * @throws FinialError `cancelled` when `signal` aborts before that; otherwise what `work` throws
   */
  run<T>(key: number, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

interface Queue {
  running: number;
  readonly waiting: Set<() => void>;
}

/**
 * A gate through which keys pass in turns: each that waits gets one piece of work through before any gets a second.
 *
 * @param atOnce pieces of work of all keys together
 * @param perKey pieces of work of one key
 */
export function fairGate(atOnce: number, perKey: number): FairGate {
  /** Keys with work, the one whose turn it is first. */
  const queues = new Map<number, Queue>();
  let running = 0;

  const enter = (key: number, queue: Queue): void => {
    queue.running += 1;
    running += 1;
    // To the end of the line, which `advance` comes to after all others.
    queues.delete(key);
    queues.set(key, queue);
  };
  const advance = (): void => {
    for (const [key, queue] of queues) {
      if (running >= atOnce) return;
      const [next] = queue.waiting;
      if (next === undefined || queue.running >= perKey) continue;
      queue.waiting.delete(next);
      enter(key, queue);
      next();
    }
  };
  const leave = (key: number, queue: Queue): void => {
    queue.running -= 1;
    running -= 1;
    if (queue.running === 0 && queue.waiting.size === 0) queues.delete(key);
    advance();
  };
  const turn = (queue: Queue, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const pass = (): void => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      const abort = (): void => {
        queue.waiting.delete(pass);
        reject(new FinialError('cancelled', 'the caller has gone'));
      };
      signal.addEventListener('abort', abort, { once: true });
      queue.waiting.add(pass);
    });

  return {
    async run(key, signal, work) {
      if (signal.aborted) throw new FinialError('cancelled', 'the caller has gone');
      const queue = queues.get(key) ?? { running: 0, waiting: new Set() };
      queues.set(key, queue);
      if (running < atOnce && queue.running < perKey && queue.waiting.size === 0) {
        // Nobody waits for this place: whoever does is kept by the bound of its own key.
        enter(key, queue);
      } else {
        await turn(queue, signal).catch((error: unknown) => {
          if (queue.running === 0 && queue.waiting.size === 0 && queues.get(key) === queue) queues.delete(key);
          throw error;
        });
      }
      try {
        return await work();
      } finally {
        leave(key, queue);
      }
    },
  };
}
