import { connectUnix, type RpcChannel } from '../../common/rpc/client.ts';
import { entryService } from '../../common/rpc/services.ts';
import type { Entry, Entry__Output } from '../../proto/gen/spire/api/types/Entry.ts';
import type { Status__Output } from '../../proto/gen/spire/api/types/Status.ts';
import type { Random } from '../fuzz/random.ts';
import { CALL_TIMEOUT_MS, pause, RECONNECT_MS } from './admin.ts';
import { contentOf, type Ledger } from './ledger.ts';
import { type Site, TRUST_DOMAIN } from './processes.ts';

/** Below it are the entries of the writers, and nobody else's. */
const FOLDER = '/soak/';

export function isOfWriters(entry: Entry__Output): boolean {
  return entry.spiffe_id?.path.startsWith(FOLDER) === true;
}

/** What a writer needs. */
export interface WriterContext {
  readonly site: Pick<Site, 'isOutage' | 'outageCodes' | 'serverSocket'>;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly report: (finding: string) => void;
  /** Resolves when nothing stands against one more write; the load is paused by it. */
  readonly turn: () => Promise<() => void>;
  readonly signal: AbortSignal;
}

const MOST_ENTRIES = 60;
const MOST_AT_ONCE = 4;
const OK = 0;
const ALREADY_EXISTS = 6;

/** Creates, changes and deletes entries of its own until `signal` aborts, and keeps the ledger of it. */
export async function runWriter(index: number, context: WriterContext): Promise<void> {
  const { random, signal, site, turn } = context;
  const channel = connectUnix(site.serverSocket, { maxReconnectMs: RECONNECT_MS });
  const own = new Set<string>();
  let next = 0;
  try {
    while (!signal.aborted) {
      const done = await turn();
      try {
        const settled = [...own].filter((path) => context.ledger.certain(path) !== undefined);
        const choice = random.int(10);
        if (settled.length < 5 || (choice < 5 && settled.length < MOST_ENTRIES)) {
          const paths = Array.from({ length: 1 + random.int(MOST_AT_ONCE) }, () => `${FOLDER}${index}/${next++}`);
          for (const path of paths) own.add(path);
          await create(channel, paths, context);
        } else if (choice < 8) await update(channel, pickSome(settled, random), context);
        else for (const path of await remove(channel, pickSome(settled, random), context)) own.delete(path);
      } finally {
        done();
      }
      await pause(random.int(20));
    }
  } finally {
    channel.close();
  }
}

function pickSome(paths: readonly string[], random: Random): string[] {
  return [...new Set(Array.from({ length: 1 + random.int(MOST_AT_ONCE) }, () => random.pick(paths)))];
}

async function create(channel: RpcChannel, paths: readonly string[], context: WriterContext): Promise<void> {
  const wanted = paths.map((path) => ({ ...randomEntry(path, context.random), ...chosenId(path, context.random) }));
  const sent = wanted.map((entry) => contentOf(asOutput(entry)));
  // A second time after a broken connection, as an operator would: it must not make a second entry.
  for (let attempt = 0; ; attempt += 1) {
    try {
      const { results } = await channel.call(entryService(), 'BatchCreateEntry', { entries: wanted }, bounded);
      results.forEach(({ entry, status }, item) => {
        const path = paths[item] ?? '';
        note(context, path, sent[item], entry, status, attempt > 0 ? [OK, ALREADY_EXISTS] : [OK]);
      });
      return;
    } catch (error) {
      interrupted(context, error, paths, sent);
      if (attempt > 0 || context.random.oneIn(2)) return;
      await pause(context.random.int(800));
    }
  }
}

async function update(channel: RpcChannel, paths: readonly string[], context: WriterContext): Promise<void> {
  const held = paths.map((path) => context.ledger.certain(path));
  const wanted = paths.map((path, item) => ({
    ...randomEntry(path, context.random),
    id: held[item]?.id ?? '',
  }));
  const sent = wanted.map((entry) => contentOf(asOutput(entry)));
  try {
    const { results } = await channel.call(entryService(), 'BatchUpdateEntry', { entries: wanted }, bounded);
    results.forEach(({ entry, status }, item) => {
      const path = paths[item] ?? '';
      const before = Number(held[item]?.revision_number);
      if (status?.code === OK && Number(entry?.revision_number) !== before + 1) {
        context.report(`an update of ${path} moved its revision from ${before} to ${entry?.revision_number}`);
      }
      note(context, path, sent[item], entry, status, [OK]);
    });
  } catch (error) {
    interrupted(context, error, paths, sent);
  }
}

/** @returns the paths that are gone for certain */
async function remove(channel: RpcChannel, paths: readonly string[], context: WriterContext): Promise<string[]> {
  const ids = paths.map((path) => context.ledger.certain(path)?.id ?? '');
  const gone: string[] = [];
  try {
    const { results } = await channel.call(entryService(), 'BatchDeleteEntry', { ids }, bounded);
    results.forEach(({ status }, item) => {
      const path = paths[item] ?? '';
      if (status?.code === OK) {
        context.ledger.acknowledgedDelete(path);
        gone.push(path);
      } else if (context.site.outageCodes.has(status?.code ?? OK)) context.ledger.unanswered(path, undefined);
      else context.report(`a delete of ${path} was refused: ${status?.message}`);
    });
  } catch (error) {
    interrupted(context, error, paths, undefined);
  }
  return gone;
}

const bounded = { timeoutMs: CALL_TIMEOUT_MS };

function note(
  { ledger, report, site }: WriterContext,
  path: string,
  sent: string | undefined,
  entry: Entry__Output | null,
  status: Status__Output | null,
  good: readonly number[],
): void {
  const code = status?.code ?? OK;
  if (site.outageCodes.has(code)) ledger.unanswered(path, sent);
  else if (!good.includes(code) || entry === null) report(`a write of ${path} was refused: ${status?.message}`);
  else {
    if (contentOf(entry) !== sent) report(`a write of ${path} was acknowledged with other content`);
    ledger.acknowledged(path, entry);
  }
}

function interrupted(
  { ledger, report, site }: WriterContext,
  error: unknown,
  paths: readonly string[],
  sent: readonly string[] | undefined,
): void {
  if (!site.isOutage(error)) report(`a write failed: ${String(error)}`);
  paths.forEach((path, item) => ledger.unanswered(path, sent?.[item]));
}

function chosenId(path: string, random: Random): { id?: string } {
  return random.oneIn(2) ? { id: `soak${path.replaceAll('/', '-')}` } : {};
}

function randomEntry(path: string, random: Random): Omit<Entry, 'id'> {
  const some = <T>(most: number, make: (index: number) => T): T[] =>
    Array.from({ length: random.int(most + 1) }, (_, i) => make(i));
  const word = (): string => random.bytes(4 + random.int(12)).toString('hex');
  return {
    spiffe_id: { trust_domain: TRUST_DOMAIN, path },
    parent_id: { trust_domain: TRUST_DOMAIN, path: '/soak-parent' },
    selectors: [{ type: 'soak', value: `first:${word()}` }, ...some(4, () => ({ type: 'soak', value: word() }))],
    x509_svid_ttl: random.int(3) * 600,
    jwt_svid_ttl: random.int(3) * 60,
    dns_names: some(3, (index) => `n${index}-${word()}.example.org`),
    admin: random.oneIn(8),
    downstream: random.oneIn(8),
    store_svid: false,
    hint: random.oneIn(3) ? word() : '',
    expires_at: random.oneIn(4) ? String(4_000_000_000 + random.int(1000)) : '0',
  };
}

/** As the server would show it. */
function asOutput(entry: Entry): Entry__Output {
  return {
    id: '',
    federates_with: [],
    revision_number: '',
    created_at: '',
    ...(entry as Omit<Entry__Output, 'id' | 'federates_with' | 'revision_number' | 'created_at'>),
  };
}
