import { setTimeout as sleep } from 'node:timers/promises';
import { entryService } from '../../../common/rpc/services.ts';
import type { SyncAuthorizedEntriesResponse__Output } from '../../../proto/gen/spire/api/server/entry/v1/SyncAuthorizedEntriesResponse.ts';
import { callBlock, framed } from '../load/connection.ts';
import type { Peer } from '../load/plan.ts';
import { connectPeer } from '../load/run.ts';
import { type Judge, measureLoad } from '../measure.ts';
import type { Row } from '../row.ts';
import { attestBenchAgent } from '../seed/api.ts';
import { groupId, groupsOf, seedEntry } from '../seed/entries.ts';
import { agentPeer, decodeAnswer, encodeRequest, pathOfMethod } from './messages.ts';
import { PATIENCE_MS } from './self.ts';
import { windowOf } from './svids.ts';

const SEEDED = 100_000;
/** Entries asked for in one message, as agents do. */
const PAGE = 500;
/** What an agent asks for. */
const SYNC_MASK = {
  spiffe_id: true,
  selectors: true,
  federates_with: true,
  admin: true,
  downstream: true,
  hint: true,
  store_svid: true,
  revision_number: true,
  created_at: true,
  additional_attributes: true,
};

type Page = SyncAuthorizedEntriesResponse__Output;

/** What a whole dialogue came to. */
interface Dialogue {
  /** Entries that the server says there are. */
  readonly announced: ReadonlySet<string>;
  /** Entries that it sent in full. */
  readonly sent: ReadonlySet<string>;
}

/** @param body one or more requests, each with its length before it */
async function dialogue(peer: Peer, path: string, body: Buffer): Promise<Dialogue> {
  const connection = await connectPeer(peer);
  const giveUp = setTimeout(() => connection.close(), PATIENCE_MS);
  try {
    const pages: Page[] = [];
    await new Promise<void>((resolve, reject) => {
      connection.call(callBlock(path, 'https'), body, {
        message: (bytes) => void pages.push(decodeAnswer(entryService(), 'SyncAuthorizedEntries', bytes)),
        end: (status, message) => (status === 0 ? resolve() : reject(new Error(`sync failed: ${status} ${message}`))),
      });
    });
    const sent = pages.flatMap(({ entries }) => entries.filter(({ selectors }) => selectors.length > 0));
    const revisions = pages.flatMap(({ entry_revisions }) => entry_revisions);
    return { announced: new Set([...revisions, ...sent].map(({ id }) => id)), sent: new Set(sent.map(({ id }) => id)) };
  } finally {
    clearTimeout(giveUp);
    connection.close();
  }
}

/** Servers hear of an agent's alias with their next look at the entries. */
async function untilAuthorized(ask: () => Promise<Dialogue>, ids: readonly string[]): Promise<void> {
  const giveUp = Date.now() + PATIENCE_MS;
  for (;;) {
    const { announced } = await ask();
    if (ids.every((id) => announced.has(id))) return;
    if (Date.now() > giveUp) throw new Error(`the agent may have ${announced.size} of its ${ids.length} entries`);
    await sleep(100);
  }
}

function syncRow(kind: 'first' | 'idle'): Row {
  return {
    name: `entry-sync-${kind}`,
    what: `a SyncAuthorizedEntries dialogue of an agent with 10,000 entries, ${kind === 'idle' ? 'nothing changed' : 'all fetched'}`,
    needs: 'server',
    async run(bench) {
      const size = SEEDED / bench.shrink;
      const server = await bench.server(size);
      const { trustDomain } = (await server.agent(0)).bundle;
      const agent = await attestBenchAgent(server, groupId(trustDomain, 0));
      const [groups, expected] = [groupsOf(size), Math.ceil(size / groupsOf(size))];
      const ids = Array.from({ length: expected }, (_, n) => seedEntry(trustDomain, n * groups, size).id);
      const request = (message: object): Buffer =>
        framed(encodeRequest(entryService(), 'SyncAuthorizedEntries', message));
      const [peer, path] = [agentPeer(server, agent), pathOfMethod(entryService(), 'SyncAuthorizedEntries')];
      const opening = request({ output_mask: SYNC_MASK });
      await untilAuthorized(() => dialogue(peer, path, opening), ids);
      const rest = kind === 'idle' ? [] : chunks(ids, PAGE).map((some) => request({ ids: some }));
      const body = Buffer.concat([opening, ...rest]);
      const plan = {
        ...{ peers: [peer], connections: 1, concurrency: 1, requests: [body], bodies: true, path },
        ...windowOf(bench, 10),
      };
      // The load keeps first messages: all entries, where they are few, or a page of revisions. Whole ones are below.
      const judge: Judge = ({ answer }) => {
        const { entries, entry_revisions: revisions } = decodeAnswer(entryService(), 'SyncAuthorizedEntries', answer);
        return entries.length + revisions.length > 0 ? undefined : 'neither entries nor revisions';
      };
      const measured = await measureLoad({ pid: server.pid, socketPath: server.adminSocket }, [plan], judge);
      const { announced, sent } = await dialogue(peer, path, body);
      const missing = ids.filter((id) => !(kind === 'idle' ? announced : sent).has(id)).length;
      const wrong = missing > 0 ? [`${missing} of ${expected} entries were missing`] : [];
      const { cpuSeconds = Number.NaN, ops } = measured;
      const extra = { server_cpu_ms: (cpuSeconds / ops) * 1000 };
      return {
        ...measured,
        wrong: [...measured.wrong, ...wrong],
        verified: measured.verified + 1,
        extra: { ...measured.extra, ...extra },
      };
    },
  };
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, n) => list.slice(n * size, (n + 1) * size));
}

export const syncRows: readonly Row[] = [syncRow('first'), syncRow('idle')];
