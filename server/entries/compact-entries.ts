import type { Entry } from '../../spiffe/registration/entry.ts';
import { EntryGraph, type EntryHandle } from '../../spiffe/registration/graph.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { decodeEntry, encodeEntry } from './entry-record.ts';
import { type Place, RecordSlabs } from './record-slabs.ts';

/** So many entries are kept as objects too: those that agents asked for last. */
const DECODED = 50_000;

/**
 * All entries of a trust domain: who may have them as a graph, the rest as bytes. The same object is given for an entry
 * as long as it is asked for, so that others can keep what they made of it with it.
 */
export class CompactEntries {
  readonly graph: EntryGraph<Place>;
  readonly #slabs: RecordSlabs;
  readonly #decoded = new Map<EntryHandle, Entry>();

  constructor(trustDomain: TrustDomain) {
    this.graph = new EntryGraph(trustDomain);
    this.#slabs = new RecordSlabs((handle, from, to) => this.graph.exchange(handle, from, to));
  }

  /** Bytes of memory that the records take. */
  get bytes(): number {
    return this.#slabs.bytes;
  }

  /** Inserts the entry, or replaces the one with its ID; one of another trust domain is left out (`EntryGraph.put`). */
  put(entry: Entry): void {
    this.remove(entry.id);
    this.add(entry);
  }

  /** As `put`, for an entry whose ID is not there. */
  add(entry: Entry): void {
    const handle = this.graph.add(entry, NO_PLACE);
    if (handle === undefined) return;
    this.graph.exchange(handle, NO_PLACE, this.#slabs.put(handle, encodeEntry(entry)));
  }

  remove(entryId: string): void {
    const handle = this.graph.handleOf(entryId);
    if (handle === undefined) return;
    const place = this.graph.valueOf(handle);
    this.#decoded.delete(handle);
    this.graph.remove(entryId);
    this.#slabs.remove(place);
  }

  /** @throws RangeError when the handle stands for none */
  entryOf(handle: EntryHandle): Entry {
    const kept = this.#decoded.get(handle);
    if (kept !== undefined) return kept;
    const { graph } = this;
    const rest = decodeEntry(this.#slabs.read(graph.valueOf(handle)));
    const entry = { ...rest, spiffeId: graph.spiffeIdOf(handle), parentId: graph.parentIdOf(handle) };
    if (this.#decoded.size >= DECODED) this.#forgetOldest();
    this.#decoded.set(handle, entry);
    return entry;
  }

  #forgetOldest(): void {
    const oldest = this.#decoded.keys().next();
    if (oldest.done !== true) this.#decoded.delete(oldest.value);
  }
}

const NO_PLACE: Place = -1;
