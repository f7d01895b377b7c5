import { callBlock, framed, type LoadConnection } from '../load/connection.ts';
import { connectPeer } from '../load/run.ts';

/** Between two questions. */
const ASK_EVERY_MS = 10;
/** What counts as a stall: the budget of a request, which a quiet caller may have to wait for. */
const STALL_MS = 50;
const QUESTION = callBlock('/grpc.health.v1.Health/Check', 'http');

/** A caller that asks for nothing but a sign of life, beside the load. */
export interface StallProbe extends Disposable {
  /** The longest wait for an answer that was due between two moments, in milliseconds, and how many were too long. */
  between(from: number, to: number): { readonly stallMs: number; readonly stalls: number };
}

/** Asks the process behind a Unix socket every 10 ms for its health, one question at a time. */
export async function probeStalls(socketPath: string): Promise<StallProbe> {
  const connection: LoadConnection = await connectPeer({ socketPath });
  const waits: { readonly at: number; readonly ms: number }[] = [];
  let asked: number | undefined;
  const timer = setInterval(() => {
    if (asked !== undefined) return;
    const at = performance.timeOrigin + performance.now();
    asked = at;
    connection.call(QUESTION, framed(Buffer.of()), {
      message: () => undefined,
      end() {
        waits.push({ at, ms: performance.timeOrigin + performance.now() - at });
        asked = undefined;
      },
    });
  }, ASK_EVERY_MS);
  return {
    between(from, to) {
      // A question without an answer is a stall that lasts.
      const open = asked === undefined || asked > to ? 0 : to - Math.max(asked, from);
      const inside = [open, ...waits.filter(({ at, ms }) => at + ms >= from && at <= to).map(({ ms }) => ms)];
      return { stallMs: Math.max(...inside), stalls: inside.filter((ms) => ms > STALL_MS).length };
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      connection.close();
    },
  };
}
