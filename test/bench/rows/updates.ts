import { setTimeout as sleep } from 'node:timers/promises';
import { connectUnix } from '../../../common/rpc/client.ts';
import { entryService, workloadService } from '../../../common/rpc/services.ts';
import { spiffeId } from '../../../spiffe/id.ts';
import { addLatency, newLatencies, percentile } from '../histogram.ts';
import { callBlock, framed, type LoadConnection } from '../load/connection.ts';
import { connectPeer } from '../load/run.ts';
import type { Bench, Measured, Row } from '../row.ts';
import { createEntries, serverBundle } from '../seed/api.ts';
import { listenerPid, watchProcess } from '../target/process.ts';
import { decodeAnswer, encodeRequest, pathOfMethod } from './messages.ts';

const STREAMS = 1000;
const STREAMS_PER_CONNECTION = 50;
const SEEDED = 100_000;
const CHANGES = 25;
const CHANGES_OF_FANOUT = 5;
const PATIENCE_MS = 60_000;
/** Between two changes, so that they do not fall into one update. */
const PAUSE_MS = 300;

/** When an update with a name in its certificate reached each open stream. */
interface Streams {
  readonly arrivals: readonly (number | undefined)[];
  /** Forgets arrivals; from now on updates count whose leaf holds `dnsName`. */
  expect(dnsName: string): void;
  close(): void;
}

const now = (): number => performance.timeOrigin + performance.now();

async function openStreams(socketPath: string, count: number): Promise<Streams> {
  const arrivals: (number | undefined)[] = Array.from({ length: count });
  let wanted: string | undefined;
  const connections: LoadConnection[] = [];
  const block = callBlock(pathOfMethod(workloadService(), 'FetchX509SVID'), 'http');
  const request = framed(encodeRequest(workloadService(), 'FetchX509SVID', {}));
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
            if (bytes.includes(wanted, 0, 'latin1')) arrivals[n] = at;
          },
          end: (status, message) => reject(new Error(`stream ${n} ended: ${status} ${message}`)),
        });
      }),
    );
  }
  await Promise.all(first);
  return {
    arrivals,
    expect(dnsName) {
      wanted = dnsName;
      arrivals.fill(undefined);
    },
    close() {
      for (const connection of connections) connection.close();
    },
  };
}

/** An entry of this process that is changed again and again, and the streams that hear of it. */
async function changeAgainAndAgain(
  bench: Bench,
  seeded: number,
  streamCount: number,
  changes: number,
): Promise<Measured> {
  const site = await bench.site(seeded);
  await site.startServer();
  await site.startAgent();
  const admin = connectUnix(site.at.adminSocket);
  const bundle = await serverBundle(admin);
  const entry = {
    id: 'be9c0002-0000-4000-8000-000000000000',
    spiffeId: spiffeId(bundle.trustDomain, '/bench/changing'),
    parentId: spiffeId(bundle.trustDomain, new URL(site.agentId ?? '').pathname),
    selectors: [{ type: 'unix', value: `uid:${process.geteuid?.() ?? 0}` }],
    dnsNames: [],
  };
  await createEntries(admin, [entry]);
  const { socketPath, pid } = { socketPath: site.at.workloadSocket, pid: await listenerPid(site.at.workloadSocket) };
  await untilServed(socketPath);
  const streams = await openStreams(socketPath, streamCount);
  using watch = watchProcess(pid);
  const began = now();
  const [toLast, spread, wrong] = [newLatencies(), newLatencies(), [] as string[]];
  for (let n = 0; n < changes; n += 1) {
    const dnsName = `change-${n}-${Date.now()}.bench`;
    streams.expect(dnsName);
    const asked = now();
    const request = { entries: [{ id: entry.id, dns_names: [dnsName] }], input_mask: { dns_names: true } };
    const { results } = await admin.call(entryService(), 'BatchUpdateEntry', request, { timeoutMs: PATIENCE_MS });
    if (results[0]?.status?.code !== 0) wrong.push(`the entry was not updated: ${results[0]?.status?.message}`);
    while (streams.arrivals.includes(undefined) && now() - asked < PATIENCE_MS) await sleep(5);
    const times = streams.arrivals.filter((at) => at !== undefined);
    if (times.length < streamCount) wrong.push(`${streamCount - times.length} streams did not get change ${n}`);
    addLatency(toLast, Math.max(...times) - asked);
    addLatency(spread, Math.max(...times) - Math.min(...times));
    await sleep(PAUSE_MS);
  }
  const { cpuSeconds, rssMb } = watch.between(began, now());
  streams.close();
  admin.close();
  return {
    ...{ ops: changes * streamCount, seconds: (now() - began) / 1000, failures: {}, cpuSeconds, rssMb, wrong },
    latencies: toLast,
    verified: changes,
    extra: { fanout_p50_ms: percentile(spread, 0.5), fanout_max_ms: spread.maxMs },
  };
}

async function untilServed(socketPath: string): Promise<void> {
  const giveUp = Date.now() + PATIENCE_MS;
  for (;;) {
    const connection = await connectPeer({ socketPath });
    const block = callBlock(pathOfMethod(workloadService(), 'FetchX509SVID'), 'http');
    const served = await new Promise<boolean>((resolve) => {
      connection.call(block, framed(encodeRequest(workloadService(), 'FetchX509SVID', {})), {
        message: (bytes) => resolve(decodeAnswer(workloadService(), 'FetchX509SVID', bytes).svids.length > 0),
        end: () => resolve(false),
      });
    });
    connection.close();
    if (served) return;
    if (Date.now() > giveUp) throw new Error(`the agent gave no SVID within ${PATIENCE_MS} ms`);
    await sleep(50);
  }
}

export const updateRows: readonly Row[] = [
  {
    name: 'fanout-1000-streams',
    what: 'an update on one of 1,000 open FetchX509SVID streams; latency is from the admin call to the last stream',
    needs: 'bin',
    run: (bench) =>
      changeAgainAndAgain(bench, 0, Math.ceil(STREAMS / bench.shrink), Math.ceil(CHANGES_OF_FANOUT / bench.shrink)),
  },
  {
    name: 'entry-change-to-workload',
    what: 'an entry changed among 100,000 until the SVID of the workload has it; latency from the admin call',
    needs: 'bin',
    run: (bench) => changeAgainAndAgain(bench, SEEDED / bench.shrink, 1, Math.ceil(CHANGES / bench.shrink)),
  },
];
