import { once } from 'node:events';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import tls from 'node:tls';
import { addLatency, newLatencies } from '../histogram.ts';
import { callBlock, framed, LoadConnection } from './connection.ts';
import type { LoadPlan, LoadResult, Peer, Sample } from './plan.ts';

/** Of answers kept for a look; each may hold hundreds of certificates. */
const MAX_SAMPLES = 50;
const MAX_KINDS_OF_FAILURE = 20;

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
  await once(socket, socket instanceof tls.TLSSocket ? 'secureConnect' : 'connect');
  socket.setNoDelay(true);
  return new LoadConnection(socket);
}

const now = (): number => performance.timeOrigin + performance.now();

/** Makes calls in a closed loop, each connection keeping `concurrency` of them open, until the time or the requests are over. */
export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const requests = plan.requests.map((request) => (plan.bodies === true ? Buffer.from(request) : framed(request)));
  const connections = await Promise.all(
    Array.from({ length: plan.connections }, (_, n) => connectPeer(peerOf(plan, n))),
  );
  const counts = { ops: 0, latencies: newLatencies(), failures: new Map<string, number>(), samples: [] as Sample[] };
  const from = now() + plan.warmUpSeconds * 1000;
  const until = from + plan.seconds * 1000;
  let next = 0;
  let answered = 0;
  const take = (own: { next: number }): number | undefined => {
    if (plan.once !== true) {
      own.next += 1;
      return own.next % requests.length;
    }
    next += 1;
    return next <= requests.length ? next - 1 : undefined;
  };
  const done = (request: number, began: number, answer: Buffer | undefined, failure: string | undefined): void => {
    const at = now();
    if (failure !== undefined) {
      const kind = counts.failures.size < MAX_KINDS_OF_FAILURE ? failure : 'other';
      counts.failures.set(kind, (counts.failures.get(kind) ?? 0) + 1);
      return;
    }
    answered += 1;
    if (answer !== undefined && answered % plan.sampleEvery === 0 && counts.samples.length < MAX_SAMPLES) {
      counts.samples.push({ request, answer: Buffer.from(answer) });
    }
    if (at < from || at > until) return;
    counts.ops += 1;
    addLatency(counts.latencies, at - began);
  };
  const warm = setTimeout(() => (idle = performance.eventLoopUtilization()), plan.warmUpSeconds * 1000);
  let idle = performance.eventLoopUtilization();
  await Promise.all(
    connections.flatMap((connection, n) => {
      const own = { next: n * 7919 };
      const scheme = 'socketPath' in peerOf(plan, n) ? 'http' : 'https';
      const block = callBlock(plan.path, scheme);
      return Array.from({ length: plan.concurrency }, async () => {
        while (now() < until && !connection.closed) {
          const request = take(own);
          if (request === undefined) return;
          const began = now();
          const { answer, failure } = await callOnce(connection, block, requests[request] ?? framed(Buffer.of()), plan);
          done(request, began, answer, failure);
        }
      });
    }),
  );
  clearTimeout(warm);
  const to = now();
  const busy = performance.eventLoopUtilization(performance.eventLoopUtilization(), idle).utilization;
  for (const connection of connections) connection.close();
  return {
    ...{ ops: counts.ops, latencies: counts.latencies, samples: counts.samples, busy, from, to },
    seconds: Math.max(0.001, Math.min(to, until) - from) / 1000,
    failures: Object.fromEntries(counts.failures),
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
        else resolve({ failure: `${status ?? 'cut'}: ${message}` });
      },
    });
  });
}
