import type { Closable } from '../../../common/lifecycle.ts';
import type { Bundle } from '../../../spiffe/bundle/bundle.ts';
import type { SpiffeId } from '../../../spiffe/id.ts';
import type { Entry } from '../../../spiffe/registration/entry.ts';
import type { AttestedNode } from '../../../spiffe/registration/node.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import type { JoinTokens } from '../../node-attestor/contract.ts';

/** Everything a server keeps. Each part is its own interface, so that code asks only for what it uses. */
export interface DataStore extends Closable {
  readonly entries: EntryStore;
  readonly nodes: NodeStore;
  readonly bundles: BundleStore;
  readonly joinTokens: JoinTokenStore;
  readonly journals: JournalStore;
  /**
   * A number that is another one after each commit, of this process or any other; so cheap that it may be asked for many
   * times a second. Absent where that costs a question to a server, and where nobody else can write.
   */
  readonly version?: () => number;
}

/** How a set of selectors, or of trust domains, in a filter relates to the one of a row. */
export type SetMatch = 'exact' | 'subset' | 'superset' | 'any';

/** A part of a listing. Without a page a listing is whole. */
export interface Page {
  /** At most this many rows; 0 or less means no paging. */
  readonly size: number;
  /** Empty for the first page, then the `nextToken` of the page before. */
  readonly token: string;
}

/** Which entries to list or count; all conditions have to hold. */
export interface EntryFilter {
  readonly spiffeId?: SpiffeId;
  readonly parentId?: SpiffeId;
  /** `subset`: all of the row's are among these. `superset`: the row has all of these. */
  readonly selectors?: { readonly match: SetMatch; readonly selectors: readonly Selector[] };
  readonly federatesWith?: { readonly match: SetMatch; readonly trustDomains: readonly TrustDomain[] };
  /** An empty text does not filter, as in the reference. */
  readonly hint?: string;
  /** Only `true` filters, as in the reference. */
  readonly downstream?: boolean;
}

/** An entry as a caller hands it in; the store adds revision and creation time, and an ID where there is none. */
export type NewEntry = Omit<Entry, 'id' | 'revisionNumber' | 'createdAt'> & { readonly id?: string };

/** The fields that an update may name. */
export type EntryField = keyof Omit<Entry, 'id' | 'revisionNumber' | 'createdAt'>;

/** A row of an event table: something happened to the entry or node of this key. Ids may have gaps. */
export interface ChangeEvent {
  readonly eventId: number;
  /** Entry ID or node SPIFFE ID. */
  readonly key: string;
}

/** The events of one kind of row, by which other servers learn of changes. */
export interface EventLog {
  /** Events with an id above `after`, in order. */
  events(after: number): Promise<readonly ChangeEvent[]>;
  /** The greatest event id there is; 0 when there is none. */
  newestEvent(): Promise<number>;
  /** Deletes events written before `before` (milliseconds since the epoch), in bounded steps; returns how many. */
  pruneEvents(before: number): Promise<number>;
}

/** Registration entries. */
export interface EntryStore extends EventLog {
  count(filter?: EntryFilter): Promise<number>;
  /**
   * Ordered by row. `nextToken` is non-empty exactly when paging and the page has a row; a malformed token is
   * `invalid-argument` "could not parse token '<x>'".
   */
  list(query: { readonly filter?: EntryFilter; readonly page?: Page }): Promise<{
    readonly entries: readonly Entry[];
    readonly nextToken: string;
  }>;
  get(id: string): Promise<Entry | undefined>;
  /**
   * Creates the entry, unless one with the same SPIFFE ID, parent and selector set exists: that one is then returned
   * with `existing: true`. Validates as the reference's datastore does (`invalid-argument`, prefix
   * `datastore-validation: `).
   */
  create(entry: NewEntry): Promise<{ readonly entry: Entry; readonly existing: boolean }>;
  /**
   * Replaces the named fields and raises the revision by one, even when nothing changed.
   *
   * @param fields every field when absent
   * @throws FinialError `not-found`
   */
  update(entry: Pick<Entry, 'id'> & Partial<Entry>, fields?: readonly EntryField[]): Promise<Entry>;
  /** @throws FinialError `not-found` */
  delete(id: string): Promise<Entry>;
  /** Deletes entries that expired before `expiresBefore` (Unix seconds); returns them. */
  prune(expiresBefore: number): Promise<readonly Entry[]>;
  /** Calls back after each commit of this process that changed entries, with their IDs; never before the commit. */
  onChange(listener: (entryIds: readonly string[]) => void): () => void;
}

/** Which nodes to list or count; all conditions have to hold. */
export interface NodeFilter {
  readonly attestationType?: string;
  readonly selectors?: { readonly match: SetMatch; readonly selectors: readonly Selector[] };
  readonly banned?: boolean;
  readonly canReattest?: boolean;
  /** Unix seconds. */
  readonly expiresBefore?: number;
}

/** Nodes whose agents were attested. */
export interface NodeStore extends EventLog {
  count(filter?: NodeFilter): Promise<number>;
  /** @param query.withSelectors joins the selectors; otherwise they come back empty */
  list(query: { readonly filter?: NodeFilter; readonly page?: Page; readonly withSelectors: boolean }): Promise<{
    readonly nodes: readonly AttestedNode[];
    readonly nextToken: string;
  }>;
  /** With its selectors. */
  get(id: SpiffeId): Promise<AttestedNode | undefined>;
  /**
   * Creates the node's row or, where it exists, sets serial, expiry and canReattest, and clears the pending serial; the
   * attestation type of an existing row stays. Replaces the selectors in the same transaction.
   */
  attested(node: Omit<AttestedNode, 'newSerialNumber' | 'newExpiresAt' | 'agentVersion'>): Promise<void>;
  /** Changes the given columns only. @throws FinialError `not-found` */
  update(
    id: SpiffeId,
    change: Partial<
      Pick<
        AttestedNode,
        'serialNumber' | 'expiresAt' | 'newSerialNumber' | 'newExpiresAt' | 'canReattest' | 'agentVersion'
      >
    >,
  ): Promise<AttestedNode>;
  /** Deletes the node, its selectors and, for a join-token node, the alias entry made with its token. @throws `not-found` */
  delete(id: SpiffeId): Promise<AttestedNode>;
  onChange(listener: (nodeIds: readonly SpiffeId[]) => void): () => void;
}

/** Bundles, of the own trust domain and of others. */
export interface BundleStore {
  get(trustDomain: TrustDomain): Promise<Bundle | undefined>;
  list(query: { readonly page?: Page }): Promise<{ readonly bundles: readonly Bundle[]; readonly nextToken: string }>;
  count(): Promise<number>;
  /**
   * Adds the authorities that the stored bundle lacks, creating the bundle if needed; one more in the sequence when
   * that changed something.
   */
  append(bundle: Pick<Bundle, 'trustDomain'> & Partial<Bundle>): Promise<Bundle>;
  /** Replaces the bundle, or creates it. */
  set(bundle: Bundle): Promise<Bundle>;
  /**
   * Removes authorities that expired before `expiresBefore` (Unix seconds). Refuses (`failed-precondition`) to remove
   * all X.509 or all JWT authorities.
   *
   * @returns whether something was removed
   */
  prune(trustDomain: TrustDomain, expiresBefore: number): Promise<boolean>;
}

/** Join tokens, as the API makes them and attestation consumes them. */
export interface JoinTokenStore extends JoinTokens {
  /**
   * Stores a token and, with it, the alias entry when one is given, in one transaction.
   *
   * @throws FinialError `already-exists`
   */
  create(token: { readonly token: string; readonly expiresAt: number }, alias?: NewEntry): Promise<void>;
}

/** The journal of one server's authorities: an opaque blob keyed by the X.509 authority active when it was written. */
export interface CaJournal {
  /** 0 until stored. */
  readonly rowId: number;
  readonly data: Buffer;
  readonly activeX509AuthorityId: string;
  readonly activeJwtAuthorityId: string;
}

/** The journals in which servers note their authorities. */
export interface JournalStore {
  find(activeX509AuthorityId: string): Promise<CaJournal | undefined>;
  list(): Promise<readonly CaJournal[]>;
  /** Inserts when `rowId` is 0, otherwise updates that row; returns the row id. */
  save(journal: CaJournal): Promise<number>;
  delete(rowId: number): Promise<void>;
}
