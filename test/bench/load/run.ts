import { once } from 'node:events';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import tls from 'node:tls';
import { type Latencies, newLatencies, percentile } from '../histogram.ts';
import { callBlock, framed, LoadConnection, NOT_PROCESSED } from './connection.ts';
import { paced } from './paced.ts';
import type { LoadPlan, LoadResult, Peer } from './plan.ts';
import { sharesSince, threadTimes } from './thread.ts';
import { openTally, type Tally } from './tally.ts';

/** A connection may take so long to be made. */
const CONNECT_MS = 30_000;
/** Calls that have no answer so long after the window are given up, in milliseconds; it may be stretched before. */
const GRACE_MS = 60_000;

/** Connects without resumption, so that each connection is a whole handshake. */
export async function connectPeer(peer: Peer): Promise<LoadConnection> {
  const socket =
    'socketPath' in peer
      ? net.connect(peer.socketPath)
      : tls.connect({
          ...peer,
          ALPNProtocols: ['h2'],
          minVersion: 'TLSv1.3',
          // The chain is verified against the bundle; the name in it is a SPIFFE ID, which TLS does not know.
          checkServerIdentity: () => undefined,
        });
  const made = socket instanceof tls.TLSSocket ? 'secureConnect' : 'connect';
  await once(socket, made, { signal: AbortSignal.timeout(CONNECT_MS) });
  socket.setNoDelay(true);
  return new LoadConnection(socket);
}

const now = (): number => performance.timeOrigin + performance.now();

/**
 * Makes calls until the time or the requests are over: in a closed loop, each connection keeping `concurrency` of them
 * open, or at a fixed rate, whether or not earlier ones were answered.
 */
export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const requests = plan.requests.map((request) => (plan.bodies === true ? Buffer.from(request) : framed(request)));
  const lines = await Promise.all(Array.from({ length: plan.connections }, (_, n) => openLine(peerOf(plan, n))));
  const tally = openTally(plan, now);
  let before = threadTimes();
  const warm = setTimeout(() => (before = threadTimes()), plan.warmUpSeconds * 1000);
  const giveUp = setTimeout(
    () => lines.forEach((line) => line.connection.close()),
    (plan.warmUpSeconds + plan.seconds) * 1000 + GRACE_MS,
  );
  const load: Load = { plan, requests, tally, late: newLatencies(), nextOnce: 0 };
  await Promise.all(lines.map((line, n) => callOn(line, n, load)));
  clearTimeout(warm);
  clearTimeout(giveUp);
  const to = tally.end(now());
  const share = sharesSince(before);
  for (const { connection } of lines) connection.close();
  const { failures, from, latencies, ops, samples } = tally;
  return {
    reconnects: lines.reduce((sum, { renewals }) => sum + renewals, 0),
    ...{ ops, latencies, samples, failures, ...share, from, to },
    seconds: (to - from) / 1000,
    ...(plan.perSecond !== undefined && { lateMs: percentile(load.late, 0.99) }),
  };
}

/** What the connections of a load share. */
interface Load {
  readonly plan: LoadPlan;
  /** As they lie on the wire. */
  readonly requests: readonly Buffer[];
  readonly tally: Tally;
  readonly late: Latencies;
  /** Of requests that are sent once each, the next. */
  nextOnce: number;
}

/** Makes calls on one connection, the n-th, until the load is over. */
async function callOn(line: Line, n: number, load: Load): Promise<void> {
  const { plan, requests, tally } = load;
  const block = callBlock(plan.path, 'socketPath' in peerOf(plan, n) ? 'http' : 'https');
  let own = n * 7919;
  const take = (): number => (plan.once === true ? load.nextOnce++ : ++own % requests.length);
  const callNext = async (): Promise<boolean> => {
    const request = take();
    const bytes = requests[request];
    if (bytes === undefined) return false;
    const began = now();
    let outcome: Outcome;
    do {
      if (line.connection.leaving) await line.renew();
      outcome = await callOnce(line.connection, block, bytes, plan);
    } while (outcome.failure === NOT_PROCESSED);
    tally.done({ request, began, ...outcome });
    return true;
  };
  const goesOn = (): boolean => !tally.over() && (line.connection.leaving || !line.connection.closed);
  if (plan.perSecond !== undefined) {
    const perSecond = plan.perSecond / plan.connections;
    await paced({ perSecond, caller: n, late: load.late, now, goesOn, callNext });
    return;
  }
  await Promise.all(
    Array.from({ length: plan.concurrency }, async () => {
      while (goesOn()) if (!(await callNext())) return;
    }),
  );
}

/** A connection that is made anew when the server says good-bye, as gRPC clients do; the call at hand pays for it. */
interface Line {
  readonly connection: LoadConnection;
  readonly renewals: number;
  renew(): Promise<void>;
}

async function openLine(peer: Peer): Promise<Line> {
  let connection = await connectPeer(peer);
  let renewals = 0;
  let renewing: Promise<void> | undefined;
  const reconnect = async (): Promise<void> => {
    connection = await connectPeer(peer);
    renewals += 1;
    renewing = undefined;
  };
  return {
    get connection() {
      return connection;
    },
    get renewals() {
      return renewals;
    },
    renew: () => (renewing ??= reconnect()),
  };
}

function peerOf(plan: LoadPlan, connection: number): Peer {
  const peer = plan.peers[connection % plan.peers.length];
  if (peer === undefined) throw new TypeError('a load plan needs a peer');
  return peer;
}

interface Outcome {
  readonly answer?: Buffer;
  readonly failure?: string;
}

function callOnce(connection: LoadConnection, block: Buffer, request: Buffer, plan: LoadPlan): Promise<Outcome> {
  return new Promise((resolve) => {
    let answer: Buffer | undefined;
    const cancel = connection.call(block, request, {
      message(bytes) {
        answer ??= bytes;
        if (plan.firstMessage !== true) return;
        cancel();
        resolve({ answer });
      },
      end(status, message) {
        if (status === 0 && answer !== undefined) resolve({ answer });
        else if (message === NOT_PROCESSED) resolve({ failure: NOT_PROCESSED });
        else resolve({ failure: `${status ?? 'cut'}: ${message}` });
      },
    });
  });
}
