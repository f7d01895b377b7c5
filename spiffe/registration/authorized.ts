import { spiffeId, type SpiffeId } from '../id.ts';
import type { Selector } from '../selector.ts';
import type { TrustDomain } from '../trust-domain.ts';
import type { AttestedNode } from './node.ts';

/** Path of the server's own ID; an entry with this parent is a node alias. */
export const SERVER_PATH = '/spire/server';

/** The ID of a trust domain's server. */
export function serverIdOf(trustDomain: TrustDomain): SpiffeId {
  return spiffeId(trustDomain, SERVER_PATH);
}

/**
 * Where the walk finds entries. Generic in what stands for an entry (`E`: an object or the handle of an index) and for
 * an ID (`K`: the ID itself or an interned number), so that an index answers without building objects.
 *
 * A source holds entries of one trust domain only, and keeps node aliases apart: `childrenOf` never returns one.
 */
export interface EntrySource<E, K> {
  /** What stands for this ID; undefined when no entry mentions it. */
  keyOf(id: SpiffeId): K | undefined;
  /** The entries with this parent; empty when there are none. Not changed while a walk runs. */
  childrenOf(parent: K): readonly E[];
  /** The ID that the entry gives, which may in turn be the parent of others. */
  identityOf(entry: E): K;
  /** Node aliases whose selectors are all among the given ones. An alias without selectors is never among them. */
  aliasesFor(selectors: readonly Selector[]): readonly E[];
}

/** Which agent asks. */
export interface AuthorizedQuery<E, K> {
  readonly agentId: SpiffeId;
  /** What `aliasSelectorsOf` says for the agent's node; empty when the node is not known yet. */
  readonly agentSelectors: readonly Selector[];
  readonly source: EntrySource<E, K>;
}

/**
 * Why the children of one parent are authorized: the last step, with a pointer to the one before. One is made per
 * parent on the walk, not per entry; `reasonOf` unfolds it on demand.
 */
export interface Cause<E> {
  readonly kind: 'agent' | 'alias' | 'entry';
  /** The alias or the parent entry; undefined for `agent`. */
  readonly entry: E | undefined;
  /** Undefined for `agent` and `alias`, where a chain begins. */
  readonly from: Cause<E> | undefined;
}

/** One step of a reason, from the agent downwards. */
export type ReasonStep<E> =
  /** The entry's parent is the agent itself. */
  | { readonly kind: 'agent' }
  /** The entry's parent is the identity of this alias, whose selectors the agent's node has. */
  | { readonly kind: 'alias'; readonly alias: E }
  /** The entry's parent is the identity of this entry, which is authorized by the steps before. */
  | { readonly kind: 'entry'; readonly parent: E };

/** An authorized entry with the chain that leads to it. */
export interface AuthorizedEntry<E> {
  readonly entry: E;
  readonly reason: readonly ReasonStep<E>[];
}

interface Visit<E> {
  readonly children: readonly E[];
  readonly cause: Cause<E>;
}

/**
 * Walks the entries that an agent may have: those parented on it, those parented on an alias of its node, and from
 * each on the entries parented on its identity, whatever their depth. Aliases themselves are not among them. Each
 * entry comes once, on the shortest way; loops end where they meet themselves.
 *
 * @param visit called per entry; return false to stop the walk
 */
export function walkAuthorized<E, K>(
  query: AuthorizedQuery<E, K>,
  visit: (entry: E, cause: Cause<E>) => boolean | void,
): void {
  const { source } = query;
  const seen = new Set<K>();
  const queue: Visit<E>[] = [];
  const enqueue = (key: K | undefined, kind: Cause<E>['kind'], entry?: E, from?: Cause<E>): void => {
    if (key === undefined || seen.has(key)) return;
    const children = source.childrenOf(key);
    if (children.length === 0) return;
    seen.add(key);
    queue.push({ children, cause: { kind, entry, from } });
  };

  enqueue(source.keyOf(query.agentId), 'agent');
  for (const alias of source.aliasesFor(query.agentSelectors)) enqueue(source.identityOf(alias), 'alias', alias);
  // The queue grows while it is read: breadth first, so that the recorded way to an entry is a shortest one.
  for (const { children, cause } of queue) {
    for (const child of children) {
      if (visit(child, cause) === false) return;
      enqueue(source.identityOf(child), 'entry', child, cause);
    }
  }
}

/** All entries that the agent may have, without reasons. The order means nothing. */
export function authorizedEntries<E, K>(query: AuthorizedQuery<E, K>): E[] {
  const found: E[] = [];
  walkAuthorized(query, (entry) => {
    found.push(entry);
  });
  return found;
}

/** Those of `wanted` that the agent may have. Stops as soon as it found them all. */
export function authorizedAmong<E, K>(query: AuthorizedQuery<E, K>, wanted: ReadonlySet<E>): Set<E> {
  const found = new Set<E>();
  if (wanted.size === 0) return found;
  walkAuthorized(query, (entry) => {
    if (wanted.has(entry)) found.add(entry);
    return found.size < wanted.size;
  });
  return found;
}

/** All entries that the agent may have, each with the chain that leads to it; what `explain` prints. */
export function explainAuthorized<E, K>(query: AuthorizedQuery<E, K>): AuthorizedEntry<E>[] {
  const found: AuthorizedEntry<E>[] = [];
  walkAuthorized(query, (entry, cause) => {
    found.push({ entry, reason: reasonOf(cause) });
  });
  return found;
}

/** The chain of a cause, from the agent downwards. */
function reasonOf<E>(cause: Cause<E>): ReasonStep<E>[] {
  const steps: ReasonStep<E>[] = [];
  for (let step: Cause<E> | undefined = cause; step !== undefined; step = step.from) steps.push(stepOf(step));
  return steps.toReversed();
}

function stepOf<E>({ kind, entry }: Cause<E>): ReasonStep<E> {
  if (entry === undefined) return { kind: 'agent' };
  return kind === 'alias' ? { kind: 'alias', alias: entry } : { kind: 'entry', parent: entry };
}

/**
 * The selectors by which aliases of a node are found. An agent whose certificate expired keeps what is parented on it
 * directly, but is no longer vouched for by its node's facts.
 *
 * @param now Unix seconds
 */
export function aliasSelectorsOf(
  node: Pick<AttestedNode, 'expiresAt' | 'selectors'> | undefined,
  now: number,
): readonly Selector[] {
  return node === undefined || node.expiresAt <= now ? [] : node.selectors;
}
