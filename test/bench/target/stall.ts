import { callBlock, framed, type LoadConnection } from '../load/connection.ts';
import { connectPeer } from '../load/run.ts';

/** Between two questions. */
const ASK_EVERY_MS = 10;
const QUESTION = callBlock('/grpc.health.v1.Health/Check', 'http');

/** A caller that asks for nothing but a sign of life, beside the load. */
export interface StallProbe extends Disposable {
  /** The longest wait for an answer that was asked for between two moments, in milliseconds. */
  worst(from: number, to: number): number;
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
    worst: (from, to) =>
      Math.max(
        // A question without an answer is a stall that lasts.
        asked === undefined || asked > to ? 0 : to - asked,
        ...waits.filter(({ at }) => at >= from && at <= to).map(({ ms }) => ms),
      ),
    [Symbol.dispose]() {
      clearInterval(timer);
      connection.close();
    },
  };
}
