import type { Entry__Output } from '../../proto/gen/spire/api/types/Entry.ts';

/** A write whose fate only the server knows: the connection broke before its answer. */
type Unknown = { readonly kind: 'put'; readonly content: string } | { readonly kind: 'delete' };

/** What is known of one entry, by its SPIFFE path, of which the load makes no two alike. */
interface Known {
  /** As the server last acknowledged or showed it; undefined when it is not there. */
  readonly entry: Entry__Output | undefined;
  /** Writes since then, oldest first; each may have happened or not. */
  readonly unknown: readonly Unknown[];
}

/** Every write of the load and what became of it. */
export interface Ledger {
  /** The server said that the entry now is this. */
  acknowledged(path: string, entry: Entry__Output): void;
  acknowledgedDelete(path: string): void;
  /** No answer came. @param content of the entry as it was to be; undefined for a delete */
  unanswered(path: string, content: string | undefined): void;
  /** What is to be read back. */
  readonly known: ReadonlyMap<string, Known>;
  /** How many writes were acknowledged. */
  readonly count: number;
  /** How many stayed without an answer. */
  readonly unansweredCount: number;
  /** The entry whose fate is fully known, to be changed further. */
  certain(path: string): Entry__Output | undefined;
}

export function newLedger(): Ledger {
  const known = new Map<string, Known>();
  let count = 0;
  let unansweredCount = 0;
  return {
    known,
    get count() {
      return count;
    },
    get unansweredCount() {
      return unansweredCount;
    },
    acknowledged(path, entry) {
      count += 1;
      known.set(path, { entry, unknown: [] });
    },
    acknowledgedDelete(path) {
      count += 1;
      known.set(path, { entry: undefined, unknown: [] });
    },
    unanswered(path, content) {
      unansweredCount += 1;
      const { entry, unknown } = known.get(path) ?? { entry: undefined, unknown: [] };
      const write: Unknown = content === undefined ? { kind: 'delete' } : { kind: 'put', content };
      known.set(path, { entry, unknown: [...unknown, write] });
    },
    certain(path) {
      const found = known.get(path);
      return found?.unknown.length === 0 ? found.entry : undefined;
    },
  };
}

/** Everything that the server says of an entry, in one form whatever the order of its selectors. */
export function wholeOf(entry: Entry__Output): string {
  const selectors = entry.selectors.map(({ type, value }) => `${type}:${value}`).sort();
  const spiffe_id = idText(entry.spiffe_id);
  const parent_id = idText(entry.parent_id);
  const parts = Object.entries({ ...entry, selectors, spiffe_id, parent_id }).filter(([, value]) => value !== null);
  return JSON.stringify(parts.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function idText(id: Entry__Output['spiffe_id']): string {
  return `spiffe://${id?.trust_domain}${id?.path}`;
}

/** What the writer decides of an entry, without what the server adds. */
export function contentOf(entry: Entry__Output): string {
  return wholeOf({ ...entry, id: '', revision_number: '', created_at: '' });
}

/**
 * Holds what the server shows against what it acknowledged.
 *
 * @param listed all entries below the folder of the load
 * @returns what is wrong, a line each: an acknowledged write that is lost or changed, an entry that is there twice, one
 * that nobody wrote, a half-done write
 */
export function checkEntries(ledger: Pick<Ledger, 'known'>, listed: readonly Entry__Output[]): string[] {
  const findings: string[] = [];
  const byPath = new Map<string, Entry__Output>();
  const ids = new Set<string>();
  for (const entry of listed) {
    const path = entry.spiffe_id?.path ?? '';
    if (byPath.has(path)) findings.push(`doubled: ${path} is registered as ${byPath.get(path)?.id} and ${entry.id}`);
    if (ids.has(entry.id)) findings.push(`doubled: the ID ${entry.id} is listed twice`);
    ids.add(entry.id);
    byPath.set(path, entry);
    if (!ledger.known.has(path)) findings.push(`from nowhere: ${path} was never written`);
  }
  for (const [path, known] of ledger.known) {
    const problem = judge(known, byPath.get(path));
    if (problem !== undefined) findings.push(`${problem}: ${path}`);
  }
  return findings;
}

/** What was read once must stay from then on: settles the fate of unanswered writes. Call it when no write is under way. */
export function settle(ledger: Ledger, listed: readonly Entry__Output[]): void {
  const byPath = new Map(listed.map((entry) => [entry.spiffe_id?.path ?? '', entry]));
  const settled = ledger.known as Map<string, Known>;
  for (const [path, { unknown }] of ledger.known) {
    if (unknown.length > 0) settled.set(path, { entry: byPath.get(path), unknown: [] });
  }
}

function judge({ entry, unknown }: Known, found: Entry__Output | undefined): string | undefined {
  if (found !== undefined && entry !== undefined && wholeOf(found) === wholeOf(entry)) return undefined;
  if (found === undefined) {
    if (entry === undefined || unknown.some(({ kind }) => kind === 'delete')) return undefined;
    return 'lost: an acknowledged entry is not there';
  }
  const content = contentOf(found);
  const possible = unknown.some((write) => write.kind === 'put' && write.content === content);
  if (!possible) {
    if (entry === undefined) return 'undone: a deleted entry is there, or one that was never asked for like this';
    return `lost: an acknowledged write reads back differently: ${difference(entry, found)}`;
  }
  return entry === undefined ? undefined : judgeRevision(entry, found, unknown.length);
}

/** Every update adds one. */
function judgeRevision(before: Entry__Output, found: Entry__Output, writes: number): string | undefined {
  const step = Number(found.revision_number) - Number(before.revision_number);
  if (found.id !== before.id || found.created_at !== before.created_at) return 'lost: the entry was made anew';
  if (step >= 1 && step <= writes) return undefined;
  return `lost: the revision went from ${before.revision_number} to ${found.revision_number} in ${writes} writes`;
}

function difference(before: Entry__Output, found: Entry__Output): string {
  const fields = Object.keys(before) as (keyof Entry__Output)[];
  const different = fields.filter((field) => JSON.stringify(before[field]) !== JSON.stringify(found[field]));
  return different.join(', ');
}
