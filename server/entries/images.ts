import type { EntryStore, NodeStore } from '../../plugins/datastore/sql/contract.ts';
import { pathOf, type SpiffeId } from '../../spiffe/id.ts';
import { SERVER_PATH } from '../../spiffe/registration/authorized.ts';
import type { Entry } from '../../spiffe/registration/entry.ts';
import type { AttestedNode } from '../../spiffe/registration/node.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import type { CompactEntries } from './compact-entries.ts';
import type { IndexChange } from './concerned.ts';

/** What the index needs of a node; serial numbers and the like are none of its business. */
export type NodeFacts = Pick<AttestedNode, 'expiresAt' | 'selectors'>;

/** The synchronous store is busy while it reads a page, so a page is small. */
const LOAD_PAGE = 1000;

/** One table as the index keeps it. */
export interface Image {
  /** Reads everything. */
  load(): Promise<void>;
  /** Reads the row of a key, which may be gone. */
  refresh(key: string): Promise<void>;
}

/** Entries, each change told once: by whom it may concern before and after. */
export function entryImage(
  entries: Pick<EntryStore, 'get' | 'list'>,
  held: CompactEntries,
  tell: (change: IndexChange) => void,
): Image {
  return {
    load: () => loadEntries(entries, held),
    async refresh(id) {
      const entry = await entries.get(id);
      const handle = held.graph.handleOf(id);
      const old = handle === undefined ? undefined : held.entryOf(handle);
      if (entry === undefined) held.remove(id);
      else held.put(entry);
      // The commits of this process come a second time, as events.
      if (entry?.revisionNumber === old?.revisionNumber && entry?.createdAt === old?.createdAt) return;
      for (const one of [old, entry]) if (one !== undefined) tell(changeOf(one));
    },
  };
}

function changeOf({ parentId, selectors }: Entry): IndexChange {
  const isAlias = pathOf(parentId) === SERVER_PATH;
  return isAlias ? { kind: 'alias', selectors } : { kind: 'entry', parent: parentId };
}

/** Nodes. Each change is told, as it may be one of what the index does not keep. */
export function nodeImage(
  nodes: Pick<NodeStore, 'get' | 'list'>,
  facts: Map<SpiffeId, NodeFacts>,
  tell: (change: IndexChange) => void,
): Image {
  return {
    load: () => loadNodes(nodes, facts),
    async refresh(key) {
      // Keys of the node tables are the IDs that were put in.
      const id = key as SpiffeId;
      const node = await nodes.get(id);
      const before = facts.get(id)?.selectors ?? [];
      if (node === undefined) facts.delete(id);
      else facts.set(id, factsOf(node));
      tell({ kind: 'node', id, selectors: !sameSelectors(before, node?.selectors ?? []) });
    },
  };
}

function sameSelectors(a: readonly Selector[], b: readonly Selector[]): boolean {
  const text = (selectors: readonly Selector[]): string => JSON.stringify(selectors.map(formatSelector).sort());
  return text(a) === text(b);
}

async function loadEntries(store: Pick<EntryStore, 'list'>, held: CompactEntries): Promise<void> {
  const gone = new Set(held.graph.entryIds());
  const isFirst = gone.size === 0;
  let token = '';
  do {
    const page = await store.list({ page: { size: LOAD_PAGE, token } });
    for (const entry of page.entries) {
      if (isFirst) held.add(entry);
      else held.put(entry);
      gone.delete(entry.id);
    }
    token = page.nextToken;
  } while (token !== '');
  for (const id of gone) held.remove(id);
}

function factsOf({ expiresAt, selectors }: AttestedNode): NodeFacts {
  return { expiresAt, selectors };
}

async function loadNodes(store: Pick<NodeStore, 'list'>, facts: Map<SpiffeId, NodeFacts>): Promise<void> {
  const gone = new Set(facts.keys());
  let token = '';
  do {
    const page = await store.list({ page: { size: LOAD_PAGE, token }, withSelectors: true });
    for (const node of page.nodes) {
      facts.set(node.id, factsOf(node));
      gone.delete(node.id);
    }
    token = page.nextToken;
  } while (token !== '');
  for (const id of gone) facts.delete(id);
}
