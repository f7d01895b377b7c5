import { setTimeout as sleep } from 'node:timers/promises';
import { connectUnix, type RpcChannel } from '../../../common/rpc/client.ts';
import { entryService } from '../../../common/rpc/services.ts';
import { addLatency, type Latencies, newLatencies, percentile } from '../histogram.ts';
import type { LoadConnection } from '../load/connection.ts';
import { connectPeer } from '../load/run.ts';
import type { Bench, Measured, Row } from '../row.ts';
import { deleteEntries } from '../seed/api.ts';
import { listenerPid, watchProcess } from '../target/process.ts';
import { probeStalls } from '../target/stall.ts';
import {
  judgeUpdate,
  PATIENCE_MS,
  registerSelf,
  type SelfIdentity,
  startServed,
  untilServed,
  workloadCall,
} from './self.ts';

const STREAMS = 1000;
const STREAMS_PER_CONNECTION = 50;
const SEEDED = 100_000;
const CHANGES = 25;
const CHANGES_OF_FANOUT = 5;
/** Between two changes, so that they do not fall into one update. */
const PAUSE_MS = 300;
/** How often agents look for changes unless told (agent.conf, sync_interval); changes fall anywhere in between. */
const SYNC_INTERVAL_MS = 5000;
/** Multiples of it, taken modulo one, fill the interval evenly. */
const GOLDEN = 0.618_034;

const now = (): number => performance.timeOrigin + performance.now();

/** When an update with a name in its certificate reached each open stream. */
interface Streams extends Disposable {
  readonly arrivals: readonly (number | undefined)[];
  /** The last update of one of them. */
  readonly update: () => Buffer;
  /** Forgets arrivals; from now on updates count whose leaf holds `dnsName`. */
  expect(dnsName: string): void;
}

async function openStreams(socketPath: string, count: number): Promise<Streams> {
  const arrivals: (number | undefined)[] = Array.from({ length: count });
  let wanted: string | undefined;
  let update = Buffer.alloc(0);
  const connections: LoadConnection[] = [];
  const { block, request } = workloadCall('FetchX509SVID', {});
  const first: Promise<void>[] = [];
  for (let n = 0; n < count; n += 1) {
    if (n % STREAMS_PER_CONNECTION === 0) connections.push(await connectPeer({ socketPath }));
    const connection = connections.at(-1);
    first.push(
      new Promise((resolve, reject) => {
        connection?.call(block, request, {
          message(bytes) {
            resolve();
            if (wanted === undefined || arrivals[n] !== undefined) return;
            // The name stands in the certificate as it is; nothing is decoded before the clock is read.
            const at = now();
            if (!bytes.includes(wanted, 0, 'latin1')) return;
            arrivals[n] = at;
            if (n === 0) update = Buffer.from(bytes);
          },
          end: (status, message) => reject(new Error(`stream ${n} ended: ${status} ${message}`)),
        });
      }),
    );
  }
  // A connection that is closed ends its streams, and with them the wait.
  const giveUp = setTimeout(() => connections.forEach((one) => one.close()), PATIENCE_MS);
  try {
    await Promise.all(first);
  } catch (error) {
    for (const connection of connections) connection.close();
    throw error;
  } finally {
    clearTimeout(giveUp);
  }
  return {
    arrivals,
    update: () => update,
    expect(dnsName) {
      wanted = dnsName;
      arrivals.fill(undefined);
    },
    [Symbol.dispose]() {
      for (const connection of connections) connection.close();
    },
  };
}

/** An agent that serves this process, and what to do when the row is over. */
interface Ground {
  readonly admin: RpcChannel;
  readonly socketPath: string;
  readonly identity: SelfIdentity;
  readonly leave: () => void;
}

const NAME = { name: 'changing', series: 'be9c0002' } as const;

/** Programs of their own for a target that the bench starts; otherwise the agent that runs, its server seeded by the API. */
async function groundOf(bench: Bench, seeded: number): Promise<Ground> {
  if (bench.bin === '') {
    await bench.server(seeded);
    const { server, socketPath, ids } = await bench.agent();
    const identity = await registerSelf(server.admin, ids, NAME);
    await untilServed(socketPath, identity);
    return { admin: server.admin, socketPath, identity, leave: () => undefined };
  }
  const site = await bench.site(seeded);
  await site.startServer();
  const identity = await startServed(site, NAME);
  const admin = connectUnix(site.at.adminSocket);
  return { admin, socketPath: site.at.workloadSocket, identity, leave: () => admin.close() };
}

/** Gives all these entries another DNS name. */
async function rename(admin: RpcChannel, ids: readonly string[], dnsName: string): Promise<void> {
  const entries = ids.map((id) => ({ id, dns_names: [dnsName] }));
  const request = { entries, input_mask: { dns_names: true } };
  const { results } = await admin.call(entryService(), 'BatchUpdateEntry', request, { timeoutMs: PATIENCE_MS });
  const refused = results.find(({ status }) => status?.code !== 0);
  if (refused !== undefined) throw new Error(`an entry was not updated: ${refused.status?.message}`);
}

/** An entry of this process that is changed again and again, and the streams that hear of it. */
async function changeAgainAndAgain(
  bench: Bench,
  seeded: number,
  streamCount: number,
  changes: number,
): Promise<Measured> {
  const { admin, identity, leave, socketPath } = await groundOf(bench, seeded);
  try {
    return await measureChanges(socketPath, identity, admin, streamCount, changes);
  } finally {
    await deleteEntries(admin, identity.entryIds);
    leave();
  }
}

/** The changes themselves, on an agent that serves the identity. */
async function measureChanges(
  socketPath: string,
  identity: SelfIdentity,
  admin: RpcChannel,
  streamCount: number,
  changes: number,
): Promise<Measured> {
  using streams = await openStreams(socketPath, streamCount);
  using watch = watchProcess(await listenerPid(socketPath));
  using probe = await probeStalls(socketPath);
  const began = now();
  const wrong: string[] = [];
  const [waits, spreads]: [number[], number[]] = [[], []];
  for (let n = 0; n < changes; n += 1) {
    await sleep(PAUSE_MS + ((n * GOLDEN) % 1) * SYNC_INTERVAL_MS);
    const dnsName = `change-${n}-${Date.now()}.bench`;
    streams.expect(dnsName);
    const asked = now();
    await rename(admin, identity.entryIds, dnsName);
    while (streams.arrivals.includes(undefined) && now() - asked < PATIENCE_MS) await sleep(5);
    const times = streams.arrivals.filter((at) => at !== undefined);
    if (times.length < streamCount) wrong.push(`${streamCount - times.length} streams did not get change ${n}`);
    if (times.length === 0) break;
    const finding = judgeUpdate(streams.update(), identity, dnsName);
    if (finding !== undefined) wrong.push(finding);
    waits.push(Math.max(...times) - asked);
    spreads.push(Math.max(...times) - Math.min(...times));
  }
  const { cpuSeconds, rssMb } = watch.between(began, now());
  const stalls = probe.between(began, now());
  const [fanout, change] = [latenciesOf(spreads), latenciesOf(waits)];
  const measured = streamCount > 1 ? spreads : waits;
  const seconds = measured.reduce((sum, ms) => sum + ms, 0) / 1000;
  return {
    ...{ ops: waits.length * streamCount, seconds, failures: {}, cpuSeconds, rssMb, wrong, ...stalls },
    latencies: streamCount > 1 ? fanout : change,
    verified: changes,
    ...(streamCount > 1 && { extra: { change_p50_ms: percentile(change, 0.5), change_max_ms: change.maxMs } }),
  };
}

function latenciesOf(times: readonly number[]): Latencies {
  const latencies = newLatencies();
  for (const ms of times) addLatency(latencies, ms);
  return latencies;
}

export const updateRows: readonly Row[] = [
  {
    name: 'fanout-1000-streams',
    what: 'an update on one of 1,000 open FetchX509SVID streams; latency from the first stream that has it to the last; change_ms from the admin call to the last',
    needs: 'agent',
    run: (bench) =>
      changeAgainAndAgain(bench, 0, Math.ceil(STREAMS / bench.shrink), Math.ceil(CHANGES_OF_FANOUT / bench.shrink)),
  },
  {
    name: 'entry-change-to-workload',
    what: 'an entry changed among 100,000 until the SVID of the workload has it; latency from the admin call',
    needs: 'agent',
    run: (bench) => changeAgainAndAgain(bench, SEEDED / bench.shrink, 1, Math.ceil(CHANGES / bench.shrink)),
  },
];
