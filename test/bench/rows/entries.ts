import { randomUUID } from 'node:crypto';
import { entryService } from '../../../common/rpc/services.ts';
import { type Judge, measureLoad } from '../measure.ts';
import type { Bench, Measured, Row, ServerUnderTest } from '../row.ts';
import { entryMessage, idMessage } from '../seed/api.ts';
import { seedEntry } from '../seed/entries.ts';
import { decodeAnswer, encodeRequest, pathOfMethod } from './messages.ts';
import { windowOf } from './svids.ts';

const SEEDED = 100_000;
const CREATED_PER_CALL = 50;
const PAGE = 500;

const sizeOf = (bench: Bench): number => SEEDED / bench.shrink;

type Method = 'BatchCreateEntry' | 'ListEntries';

/** Calls of the admin socket. */
function measureAdmin(
  bench: Bench,
  server: ServerUnderTest,
  method: Method,
  load: {
    readonly requests: readonly Buffer[];
    readonly once?: boolean;
    readonly judge: Judge;
    readonly opsPerCall?: number;
  },
): Promise<Measured> {
  const plan = {
    peers: [{ socketPath: server.adminSocket }],
    ...{ connections: 4, concurrency: 1, path: pathOfMethod(entryService(), method), requests: load.requests },
    ...windowOf(bench, 20),
    ...(load.once === true && { once: true, warmUpSeconds: 0 }),
  };
  return measureLoad({ pid: server.pid, socketPath: server.adminSocket }, [plan], load.judge, load.opsPerCall);
}

const createRow: Row = {
  name: 'entry-create',
  what: 'an entry created beside 100,000 others, 50 per call',
  needs: 'server',
  async run(bench) {
    const server = await bench.server(sizeOf(bench));
    const { trustDomain } = await server.agent(0).then(({ bundle }) => bundle);
    const run = randomUUID().slice(0, 8);
    const calls = Array.from({ length: Math.ceil(200 / bench.shrink) }, (_, call) =>
      Array.from({ length: CREATED_PER_CALL }, (_, n) => {
        const number = call * CREATED_PER_CALL + n;
        const { dnsNames, selectors, parentId } = seedEntry(trustDomain, number, sizeOf(bench));
        const path = `/bench/created/${run}/${number}`;
        return {
          parent_id: idMessage(parentId),
          spiffe_id: { trust_domain: trustDomain, path },
          selectors,
          dns_names: dnsNames,
        };
      }),
    );
    const judge: Judge = ({ request, answer }) => {
      const { results } = decodeAnswer(entryService(), 'BatchCreateEntry', answer);
      const wanted = calls[request] ?? [];
      const same = wanted.every(({ spiffe_id: id }, n) => {
        const { status, entry } = results[n] ?? {};
        return status?.code === 0 && entry?.spiffe_id?.path === id.path && entry.id !== '';
      });
      return same
        ? undefined
        : `not every entry was created: ${results.find(({ status }) => status?.code !== 0)?.status?.message}`;
    };
    const requests = calls.map((entries) => encodeRequest(entryService(), 'BatchCreateEntry', { entries }));
    return measureAdmin(bench, server, 'BatchCreateEntry', {
      requests,
      once: true,
      judge,
      opsPerCall: CREATED_PER_CALL,
    });
  },
};

const listRow: Row = {
  name: 'entry-list',
  what: 'a page of 500 out of 100,000 entries, ListEntries',
  needs: 'server',
  async run(bench) {
    const server = await bench.server(sizeOf(bench));
    const requests = [encodeRequest(entryService(), 'ListEntries', { page_size: PAGE })];
    const judge: Judge = ({ answer }) => {
      const { entries, next_page_token: next } = decodeAnswer(entryService(), 'ListEntries', answer);
      const whole = entries.length === PAGE && entries.every(({ selectors }) => selectors.length > 0) && next !== '';
      return whole ? undefined : `a page of ${entries.length} entries`;
    };
    return measureAdmin(bench, server, 'ListEntries', { requests, judge });
  },
};

const filterRow: Row = {
  name: 'entry-filter',
  what: 'one out of 100,000 entries by its selectors, ListEntries',
  needs: 'server',
  async run(bench) {
    const server = await bench.server(sizeOf(bench));
    const { trustDomain } = await server.agent(0).then(({ bundle }) => bundle);
    const wanted = Array.from({ length: 100 }, (_, n) =>
      seedEntry(trustDomain, n * Math.floor(sizeOf(bench) / 100), sizeOf(bench)),
    );
    const requests = wanted.map(({ selectors }) =>
      encodeRequest(entryService(), 'ListEntries', {
        filter: { by_selectors: { selectors, match: 'MATCH_EXACT' } },
        page_size: PAGE,
      }),
    );
    const judge: Judge = ({ request, answer }) => {
      const { entries } = decodeAnswer(entryService(), 'ListEntries', answer);
      const { path } = entryMessage(wanted[request] ?? seedEntry(trustDomain, 0, 1)).spiffe_id as { path: string };
      // Entries that other rows created have the same selectors.
      return entries.some(({ spiffe_id: id }) => id?.path === path)
        ? undefined
        : `${entries.length} entries without ${path}`;
    };
    return measureAdmin(bench, server, 'ListEntries', { requests, judge });
  },
};

export const entryRows: readonly Row[] = [createRow, listRow, filterRow];
