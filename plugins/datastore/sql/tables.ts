import type { ColumnType, Generated } from 'kysely';

/** A time as the dialect's driver carries it; only `ColumnValues` makes and reads one. */
export type DbTime = string | number | Date;

/** A count as drivers give it back: PostgreSQL's does not fit a number and comes as text. */
export type Count = number | bigint | string;

/** A flag as drivers give it back: SQLite and MySQL have integers, PostgreSQL has booleans. */
type Flag = ColumnType<number | boolean | null, boolean, boolean>;
type Text = ColumnType<string | null, string, string>;
type Integer = ColumnType<number | null, number, number>;
type Blob = ColumnType<Buffer | null, Buffer | null, Buffer | null>;

interface Model {
  readonly id: Generated<number>;
  readonly created_at: ColumnType<DbTime | null, DbTime, never>;
  readonly updated_at: ColumnType<DbTime | null, DbTime, DbTime>;
}

/** One bundle. */
export interface BundleTable extends Model {
  /** With scheme: `spiffe://example.org`. */
  readonly trust_domain: string;
  /** A `spire.common.Bundle`. */
  readonly data: Blob;
}

/** One attested node. */
export interface NodeTable extends Model {
  readonly spiffe_id: Text;
  readonly data_type: Text;
  readonly serial_number: Text;
  readonly expires_at: ColumnType<DbTime | null, DbTime, DbTime>;
  readonly new_serial_number: Text;
  readonly new_expires_at: ColumnType<DbTime | null, DbTime | null, DbTime | null>;
  readonly can_reattest: Flag;
  readonly agent_version: Text;
}

interface NodeSelectorTable extends Model {
  readonly spiffe_id: Text;
  readonly type: Text;
  readonly value: Text;
}

/** One change of a node. */
export interface NodeEventTable extends Model {
  readonly spiffe_id: Text;
}

/** One registration entry without what has tables of its own. */
export interface EntryTable extends Model {
  readonly entry_id: Text;
  readonly spiffe_id: Text;
  readonly parent_id: Text;
  /** Seconds, of X509-SVIDs. */
  readonly ttl: Integer;
  readonly admin: Flag;
  readonly downstream: Flag;
  /** Unix seconds; 0 for never. */
  readonly expiry: Integer;
  readonly revision_number: Integer;
  readonly store_svid: Flag;
  readonly hint: Text;
  readonly jwt_svid_ttl: Integer;
  /** A `spire.common.RegistrationEntry.AdditionalAttributes`; null when the entry has none. */
  readonly additional_attributes: Blob;
}

/** One change of an entry. */
export interface EntryEventTable extends Model {
  readonly entry_id: Text;
}

interface SelectorTable extends Model {
  readonly registered_entry_id: number;
  readonly type: Text;
  readonly value: Text;
}

interface DnsNameTable extends Model {
  readonly registered_entry_id: number;
  readonly value: Text;
}

interface EntryBundleTable {
  readonly bundle_id: number;
  readonly registered_entry_id: number;
}

interface JoinTokenTable extends Model {
  readonly token: Text;
  /** Unix seconds. */
  readonly expiry: Integer;
}

/** The journal of one server. */
export interface JournalTable extends Model {
  readonly data: Blob;
  readonly active_x509_authority_id: Text;
  readonly active_jwt_authority_id: Text;
}

interface MigrationTable extends Model {
  readonly version: Integer;
  readonly code_version: Text;
}

/** The tables of schema version 25, by their names in the database. `federated_trust_domains` is not used yet. */
export interface Tables {
  readonly attested_node_entries: NodeTable;
  readonly attested_node_entries_events: NodeEventTable;
  readonly bundles: BundleTable;
  readonly ca_journals: JournalTable;
  readonly dns_names: DnsNameTable;
  readonly federated_registration_entries: EntryBundleTable;
  readonly join_tokens: JoinTokenTable;
  readonly migrations: MigrationTable;
  readonly node_resolver_map_entries: NodeSelectorTable;
  readonly registered_entries: EntryTable;
  readonly registered_entries_events: EntryEventTable;
  readonly selectors: SelectorTable;
}
