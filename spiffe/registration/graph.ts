import type { SpiffeId } from '../id.ts';
import { isMemberOf } from '../id.ts';
import type { Selector } from '../selector.ts';
import type { TrustDomain } from '../trust-domain.ts';
import { type EntrySource, serverIdOf } from './authorized.ts';
import type { Entry } from './entry.ts';
import { Interner } from './interner.ts';
import { MatchIndex } from './match-index.ts';

/** The part of an entry that decides who may have it. */
export type GraphEntry = Pick<Entry, 'id' | 'spiffeId' | 'parentId' | 'selectors'>;

/** Stands for one entry of a graph until that entry is removed or replaced; afterwards it may stand for another. */
export type EntryHandle = number;

/** Stands for one SPIFFE ID of a graph. */
export type IdKey = number;

const ALIAS = -1;

/**
 * The entries of one trust domain, by who may have them: a compact source for the walk in `authorized.ts`. Beside the
 * shape it keeps one value per entry, such as its encoded form, and no other part of the entry.
 */
export class EntryGraph<T> implements EntrySource<EntryHandle, IdKey> {
  readonly #trustDomain: TrustDomain;
  readonly #serverId: SpiffeId;
  readonly #ids = new Interner();
  readonly #handles = new Map<string, EntryHandle>();
  readonly #aliases = new MatchIndex<EntryHandle>();
  /** By ID key. */
  readonly #children: EntryHandle[][] = [];
  // By handle: columns instead of one object per entry.
  readonly #values: (T | undefined)[] = [];
  readonly #parents: IdKey[] = [];
  readonly #identities: IdKey[] = [];
  /** Place among the parent's children, or ALIAS. */
  readonly #positions: number[] = [];
  readonly #free: EntryHandle[] = [];

  constructor(trustDomain: TrustDomain) {
    this.#trustDomain = trustDomain;
    this.#serverId = serverIdOf(trustDomain);
  }

  /** How many entries there are, aliases included. */
  get size(): number {
    return this.#handles.size;
  }

  /**
   * Inserts the entry, or replaces the one with its ID.
   *
   * @returns what stands for it; undefined when the entry or its parent is of another trust domain: such an entry is left
   * out, and an earlier version of it is gone
   */
  put(entry: GraphEntry, value: T): EntryHandle | undefined {
    this.remove(entry.id);
    return this.add(entry, value);
  }

  /** As `put`, for an entry whose ID is not there: to look it up among a million takes as long as to insert it. */
  add(entry: GraphEntry, value: T): EntryHandle | undefined {
    if (!isMemberOf(entry.spiffeId, this.#trustDomain) || !isMemberOf(entry.parentId, this.#trustDomain)) {
      return undefined;
    }
    const handle = this.#free.pop() ?? this.#values.length;
    const parent = this.#ids.acquire(entry.parentId);
    this.#handles.set(entry.id, handle);
    this.#values[handle] = value;
    this.#parents[handle] = parent;
    this.#identities[handle] = this.#ids.acquire(entry.spiffeId);
    this.#positions[handle] = entry.parentId === this.#serverId ? ALIAS : this.#adopt(parent, handle);
    if (entry.parentId === this.#serverId) this.#aliases.put(handle, entry.selectors);
    return handle;
  }

  /** @returns whether it was there */
  remove(entryId: string): boolean {
    const handle = this.#handles.get(entryId);
    if (handle === undefined) return false;
    this.#handles.delete(entryId);
    const parent = this.#parents[handle] ?? 0;
    const position = this.#positions[handle] ?? ALIAS;
    if (position === ALIAS) this.#aliases.remove(handle);
    else this.#disown(parent, position);
    this.#ids.release(parent);
    this.#ids.release(this.identityOf(handle));
    this.#values[handle] = undefined;
    this.#free.push(handle);
    return true;
  }

  handleOf(entryId: string): EntryHandle | undefined {
    return this.#handles.get(entryId);
  }

  /** The IDs of all entries, aliases included, in no particular order. */
  entryIds(): IterableIterator<string> {
    return this.#handles.keys();
  }

  /** What was put with the entry. @throws RangeError when the handle stands for none */
  valueOf(handle: EntryHandle): T {
    const value = this.#values[handle];
    if (value === undefined) throw new RangeError('no entry has this handle');
    return value;
  }

  /** Puts `to` in the place of the value `from`. @returns false when the entry has another value or is gone */
  exchange(handle: EntryHandle, from: T, to: T): boolean {
    if (this.#values[handle] !== from) return false;
    this.#values[handle] = to;
    return true;
  }

  /** What was put with the entry of this ID. */
  get(entryId: string): T | undefined {
    const handle = this.#handles.get(entryId);
    return handle === undefined ? undefined : this.#values[handle];
  }

  /** The identity that the entry gives. @throws RangeError when the handle stands for none */
  spiffeIdOf(handle: EntryHandle): SpiffeId {
    return this.#idOf(this.#identities[handle]);
  }

  /** Below whom the entry is. @throws RangeError when the handle stands for none */
  parentIdOf(handle: EntryHandle): SpiffeId {
    return this.#idOf(this.#parents[handle]);
  }

  #idOf(key: IdKey | undefined): SpiffeId {
    const id = key === undefined ? undefined : this.#ids.textOf(key);
    if (id === undefined) throw new RangeError('no entry has this handle');
    // Only SPIFFE IDs were put in.
    return id as SpiffeId;
  }

  keyOf(id: SpiffeId): IdKey | undefined {
    return this.#ids.find(id);
  }

  childrenOf(parent: IdKey): readonly EntryHandle[] {
    return this.#children[parent] ?? NONE;
  }

  identityOf(handle: EntryHandle): IdKey {
    return this.#identities[handle] ?? 0;
  }

  /** The entries that give one of these identities, aliases included. Looks at all entries, some ten nanoseconds each. */
  entriesGiving(identities: ReadonlySet<IdKey>): EntryHandle[] {
    const found: EntryHandle[] = [];
    if (identities.size === 0) return found;
    for (let handle = 0; handle < this.#identities.length; handle += 1) {
      const isOne = identities.has(this.identityOf(handle)) && this.#values[handle] !== undefined;
      if (isOne) found.push(handle);
    }
    return found;
  }

  /** Whether the entry is a node alias. @throws RangeError when the handle stands for none */
  isAlias(handle: EntryHandle): boolean {
    const position = this.#positions[handle];
    if (position === undefined) throw new RangeError('no entry has this handle');
    return position === ALIAS;
  }

  aliasesFor(selectors: readonly Selector[]): readonly EntryHandle[] {
    return selectors.length === 0 ? NONE : this.#aliases.matching(selectors);
  }

  #adopt(parent: IdKey, handle: EntryHandle): number {
    const siblings = (this.#children[parent] ??= []);
    return siblings.push(handle) - 1;
  }

  #disown(parent: IdKey, position: number): void {
    const siblings = this.#children[parent];
    const last = siblings?.pop();
    if (siblings === undefined || last === undefined) return;
    if (position < siblings.length) {
      siblings[position] = last;
      this.#positions[last] = position;
    }
  }
}

const NONE: readonly EntryHandle[] = [];
