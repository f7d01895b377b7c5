import {
  boolean,
  convert,
  describe,
  duration,
  type Infer,
  integer,
  object,
  optional,
  raw,
  refine,
  required,
  string,
  withDefault,
} from '../../../common/config/schema.ts';
import type { ConfigNode } from '../../../common/config/tree.ts';
import { messageOf } from '../../../common/errors.ts';
import { parseSqliteLocation } from './sqlite/location.ts';

/** The database types of the reference that this build does not have. */
const MISSING_TYPES: readonly string[] = ['mysql', 'postgres', 'aws_mysql', 'aws_postgres'];

/** `plugin_data` of `DataStore "sql"`. Keys that only concern other database types are accepted and have no effect. */
export const sqlConfig = refine(
  object({
    database_type: describe(convert(required(raw()), databaseType), 'Only "sqlite3" in this build.'),
    connection_string: describe(required(string()), 'A path, relative to the working directory, or a file: URI.'),
    ro_connection_string: optional(string()),
    root_ca_path: optional(string()),
    client_cert_path: optional(string()),
    client_key_path: optional(string()),
    max_open_conns: optional(integer()),
    max_idle_conns: optional(integer()),
    conn_max_lifetime: optional(duration()),
    disable_migration: describe(
      withDefault(boolean(), false),
      'Leave a database of another schema version as it is, if servers of its version get on with this one.',
    ),
    log_sql: describe(withDefault(boolean(), false), 'Log the text of each SQL statement at debug level.'),
  }),
  ({ connection_string }) => {
    try {
      parseSqliteLocation(connection_string);
      return undefined;
    } catch (error) {
      return { key: 'connection_string', problem: messageOf(error) };
    }
  },
);

/** The `plugin_data` of the datastore. */
export type SqlConfig = Infer<typeof sqlConfig>;

/** The type is a text or, for databases of AWS, a block with its name as label. */
function databaseType(node: ConfigNode): 'sqlite3' {
  const name = typeName(node);
  if (name === 'sqlite3') return name;
  if (MISSING_TYPES.includes(name)) throw new Error(`"${name}" is not implemented: this build has "sqlite3" only`);
  throw new Error(`unknown database type "${name}": this build has "sqlite3" only`);
}

function typeName(node: ConfigNode): string {
  if (node.kind === 'object') return node.items[0]?.keys[0]?.name ?? '';
  if (node.kind === 'list') return node.items[0] === undefined ? '' : typeName(node.items[0]);
  return node.text;
}
