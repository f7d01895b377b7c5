import { type SpiffeId, pathOf } from '../../spiffe/id.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import type { EntryGraph, EntryHandle, IdKey } from '../../spiffe/registration/graph.ts';

/** What came, went or changed in the index, by whom it may concern. */
export type IndexChange =
  /** An entry below this ID. */
  | { readonly kind: 'entry'; readonly parent: SpiffeId }
  /** A node alias with these selectors. */
  | { readonly kind: 'alias'; readonly selectors: readonly Selector[] }
  /** A node; `selectors` tells whether other aliases may be its now. */
  | { readonly kind: 'node'; readonly id: SpiffeId; readonly selectors: boolean };

/** What the walk reads. */
export interface ConcernSource {
  readonly graph: Pick<EntryGraph<unknown>, 'keyOf' | 'entriesGiving' | 'isAlias' | 'parentIdOf'>;
  /** Selectors of an entry. */
  selectorsOf(handle: EntryHandle): readonly Selector[];
  /** The selectors by which aliases of an agent's node are found. */
  agentSelectors(agent: SpiffeId): readonly Selector[];
}

/** Beyond so many IDs or aliases to look at, telling everybody costs less than finding out whom. */
const MOST = 10_000;
/** No entry gives an ID of this namespace (id-rules.ts), so agents' IDs are where the way up ends. */
const RESERVED = '/spire/';

/**
 * Those of `agents` whose authorized entries may have become others. It is the walk of `spiffe/registration/authorized.ts`
 * backwards: from each change up its parents to the agents and aliases where walks begin. Links that went away in the
 * same batch are themselves changes, so that nobody is missed.
 */
export function concernedAgents(
  source: ConcernSource,
  changes: Iterable<IndexChange>,
  agents: ReadonlySet<SpiffeId>,
): ReadonlySet<SpiffeId> {
  const concerned = new Set<SpiffeId>();
  const parents = new Set<SpiffeId>();
  const aliases = new Map<string, readonly string[]>();
  for (const change of changes) {
    if (change.kind === 'entry') parents.add(change.parent);
    else if (change.kind === 'alias') addAlias(aliases, change.selectors);
    else if (change.selectors && agents.has(change.id)) concerned.add(change.id);
  }
  if (!climb(source, parents, aliases)) return agents;
  for (const id of parents) if (agents.has(id)) concerned.add(id);
  if (aliases.size === 0 || concerned.size === agents.size) return concerned;
  for (const agent of agents) {
    const presented = new Set(source.agentSelectors(agent).map(formatSelector));
    if (presented.size > 0 && isAny(aliases.values(), presented)) concerned.add(agent);
  }
  return concerned;
}

/** Adds to `parents` all IDs above them, and to `aliases` those met on the way. @returns false when that becomes too much */
function climb(source: ConcernSource, parents: Set<SpiffeId>, aliases: Map<string, readonly string[]>): boolean {
  const { graph } = source;
  let level: Iterable<SpiffeId> = [...parents];
  for (;;) {
    const keys = new Set<IdKey>();
    for (const id of level) {
      const key = pathOf(id).startsWith(RESERVED) ? undefined : graph.keyOf(id);
      if (key !== undefined) keys.add(key);
    }
    const above: SpiffeId[] = [];
    for (const handle of graph.entriesGiving(keys)) {
      if (graph.isAlias(handle)) {
        addAlias(aliases, source.selectorsOf(handle));
        continue;
      }
      const parent = graph.parentIdOf(handle);
      if (parents.has(parent)) continue;
      parents.add(parent);
      above.push(parent);
    }
    if (parents.size > MOST || aliases.size > MOST) return false;
    if (above.length === 0) return true;
    level = above;
  }
}

/** One without selectors is never anybody's. */
function addAlias(aliases: Map<string, readonly string[]>, selectors: readonly Selector[]): void {
  if (selectors.length === 0) return;
  const texts = selectors.map(formatSelector).sort();
  aliases.set(JSON.stringify(texts), texts);
}

function isAny(aliases: Iterable<readonly string[]>, presented: ReadonlySet<string>): boolean {
  for (const wanted of aliases) if (wanted.every((one) => presented.has(one))) return true;
  return false;
}
