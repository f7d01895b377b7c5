/**
 * Schema version 25 as the reference creates it on SQLite. Types, names and order are its own, so that a database can go
 * back and forth between servers; `schema.test.ts` compares the result with what a reference server left behind.
 */

/** A column's name and its declaration. */
type Column = readonly [name: string, declaration: string];

interface TableDefinition {
  readonly name: string;
  readonly columns: readonly Column[];
}

interface IndexDefinition {
  readonly name: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly unique: boolean;
}

const MODEL: readonly Column[] = [
  ['id', 'integer primary key autoincrement'],
  ['created_at', 'datetime'],
  ['updated_at', 'datetime'],
];

function model(name: string, ...columns: readonly Column[]): TableDefinition {
  return { name, columns: [...MODEL, ...columns] };
}

const TABLES: readonly TableDefinition[] = [
  {
    name: 'federated_registration_entries',
    columns: [
      ['bundle_id', 'integer'],
      ['registered_entry_id', 'integer'],
    ],
  },
  model('bundles', ['trust_domain', 'varchar(255) NOT NULL'], ['data', 'blob']),
  model(
    'attested_node_entries',
    ['spiffe_id', 'varchar(255)'],
    ['data_type', 'varchar(255)'],
    ['serial_number', 'varchar(255)'],
    ['expires_at', 'datetime'],
    ['new_serial_number', 'varchar(255)'],
    ['new_expires_at', 'datetime'],
    ['can_reattest', 'bool'],
    ['agent_version', 'varchar(255)'],
  ),
  model('attested_node_entries_events', ['spiffe_id', 'varchar(255)']),
  model(
    'node_resolver_map_entries',
    ['spiffe_id', 'varchar(255)'],
    ['type', 'varchar(255)'],
    ['value', 'varchar(255)'],
  ),
  model(
    'registered_entries',
    ['entry_id', 'varchar(255)'],
    ['spiffe_id', 'varchar(255)'],
    ['parent_id', 'varchar(255)'],
    ['ttl', 'integer'],
    ['admin', 'bool'],
    ['downstream', 'bool'],
    ['expiry', 'bigint'],
    ['revision_number', 'bigint'],
    ['store_svid', 'bool'],
    ['hint', 'varchar(255)'],
    ['jwt_svid_ttl', 'integer'],
    ['additional_attributes', 'blob'],
  ),
  model('registered_entries_events', ['entry_id', 'varchar(255)']),
  model('join_tokens', ['token', 'varchar(255)'], ['expiry', 'bigint']),
  model('selectors', ['registered_entry_id', 'integer'], ['type', 'varchar(255)'], ['value', 'varchar(255)']),
  model('migrations', ['version', 'integer'], ['code_version', 'varchar(255)']),
  model('dns_names', ['registered_entry_id', 'integer'], ['value', 'varchar(255)']),
  model(
    'federated_trust_domains',
    ['trust_domain', 'varchar(255) NOT NULL'],
    ['bundle_endpoint_url', 'varchar(255)'],
    ['bundle_endpoint_profile', 'varchar(255)'],
    ['endpoint_spiffe_id', 'varchar(255)'],
    ['implicit', 'bool'],
  ),
  model(
    'ca_journals',
    ['data', 'blob'],
    ['active_x509_authority_id', 'varchar(255)'],
    ['active_jwt_authority_id', 'varchar(255)'],
  ),
];

function unique(name: string, table: string, ...columns: readonly string[]): IndexDefinition {
  return { name, table, columns, unique: true };
}

function index(name: string, table: string, ...columns: readonly string[]): IndexDefinition {
  return { name, table, columns, unique: false };
}

const INDEXES: readonly IndexDefinition[] = [
  unique('uix_bundles_trust_domain', 'bundles', 'trust_domain'),
  index('idx_attested_node_entries_expires_at', 'attested_node_entries', 'expires_at'),
  unique('uix_attested_node_entries_spiffe_id', 'attested_node_entries', 'spiffe_id'),
  unique('idx_node_resolver_map', 'node_resolver_map_entries', 'spiffe_id', '"type"', '"value"'),
  index('idx_registered_entries_spiffe_id', 'registered_entries', 'spiffe_id'),
  index('idx_registered_entries_parent_id', 'registered_entries', 'parent_id'),
  index('idx_registered_entries_expiry', 'registered_entries', '"expiry"'),
  index('idx_registered_entries_hint', 'registered_entries', '"hint"'),
  unique('uix_registered_entries_entry_id', 'registered_entries', 'entry_id'),
  unique('uix_join_tokens_token', 'join_tokens', '"token"'),
  index('idx_selectors_type_value', 'selectors', '"type"', '"value"'),
  unique('idx_selector_entry', 'selectors', 'registered_entry_id', '"type"', '"value"'),
  unique('idx_dns_entry', 'dns_names', 'registered_entry_id', '"value"'),
  unique('uix_federated_trust_domains_trust_domain', 'federated_trust_domains', 'trust_domain'),
  index('idx_ca_journals_active_x509_authority_id', 'ca_journals', 'active_x509_authority_id'),
  index('idx_ca_journals_active_jwt_authority_id', 'ca_journals', 'active_jwt_authority_id'),
  index(
    'idx_federated_registration_entries_registered_entry_id',
    'federated_registration_entries',
    'registered_entry_id',
  ),
];

/** The names of all tables. */
export const TABLE_NAMES: readonly string[] = TABLES.map((table) => table.name);

/** The statements that create the schema, in order. */
export function createStatements(): readonly string[] {
  const indexed = new Set<IndexDefinition>();
  const statements: string[] = [];
  for (const table of TABLES) {
    statements.push(createTable(table));
    for (const one of INDEXES) {
      // The reference adds this one last, after all tables.
      if (one.table !== table.name || one.table === 'federated_registration_entries') continue;
      indexed.add(one);
      statements.push(createIndex(one));
    }
  }
  for (const one of INDEXES) if (!indexed.has(one)) statements.push(createIndex(one));
  return statements;
}

/** The statements that lead to each schema version from the one before. */
export const MIGRATIONS: Readonly<Record<number, readonly string[]>> = {
  24: ['ALTER TABLE "attested_node_entries" ADD "agent_version" varchar(255)'],
  25: ['ALTER TABLE "registered_entries" ADD "additional_attributes" blob'],
};

function createTable({ name, columns }: TableDefinition): string {
  const body = columns.map(([column, declaration]) => `"${column}" ${declaration}`).join(',');
  const isLink = name === 'federated_registration_entries';
  return `CREATE TABLE "${name}" (${body}${isLink ? ', PRIMARY KEY ("bundle_id","registered_entry_id")' : ' '})`;
}

function createIndex({ name, table, columns, unique }: IndexDefinition): string {
  return `CREATE ${unique ? 'UNIQUE ' : ''}INDEX ${name} ON "${table}"(${columns.join(', ')}) `;
}
