import { sqlError } from '../errors.ts';

/** Where a connection string points. */
export interface SqliteLocation {
  /** As given, so relative to the working directory; `:memory:` for a database that no file holds. */
  readonly path: string;
  /** Parameters of a URI that we do not know, and so do not follow. */
  readonly ignored: readonly string[];
  /** Whether a missing file is an error instead of a new database. */
  readonly mustExist: boolean;
}

/** Set by us on every connection, whatever the connection string says. */
const OWN_PARAMETERS = new Set(['_foreign_keys', '_fk', '_journal_mode', '_journal', 'cache']);

/**
 * Reads the connection string of `database_type = "sqlite3"`: a path or a `file:` URI (RFC 8089), each possibly with
 * parameters after a `?`, and percent-encoded.
 *
 * @throws FinialError `invalid-argument`
 */
export function parseSqliteLocation(connectionString: string): SqliteLocation {
  if (connectionString === ':memory:') return { path: ':memory:', ignored: [], mustExist: false };
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(connectionString)?.[1];
  if (scheme !== undefined && scheme.toLowerCase() !== 'file') {
    throw sqlError('invalid-argument', `unsupported scheme "${scheme}" in connection_string`);
  }
  const rest = scheme === undefined ? connectionString : withoutAuthority(connectionString.slice(scheme.length + 1));
  const [beforeFragment = ''] = rest.split('#', 1);
  const mark = beforeFragment.indexOf('?');
  const path = decodePath(mark < 0 ? beforeFragment : beforeFragment.slice(0, mark));
  const parameters = new URLSearchParams(mark < 0 ? '' : beforeFragment.slice(mark + 1));
  const mode = parameters.get('mode') ?? 'rwc';
  if (mode === 'ro') throw sqlError('invalid-argument', 'connection_string opens the database read-only (mode=ro)');
  if (mode !== 'rwc' && mode !== 'rw' && mode !== 'memory') {
    throw sqlError('invalid-argument', `connection_string has an unknown mode "${mode}"`);
  }
  if (path === '') throw sqlError('invalid-argument', 'connection_string names no file');
  return {
    path: mode === 'memory' ? ':memory:' : path,
    ignored: [...new Set(parameters.keys())].filter((key) => key !== 'mode' && !OWN_PARAMETERS.has(key)),
    mustExist: mode === 'rw',
  };
}

function withoutAuthority(text: string): string {
  if (!text.startsWith('//')) return text;
  const slash = text.indexOf('/', 2);
  const authority = slash < 0 ? text.slice(2) : text.slice(2, slash);
  if (authority !== '' && authority !== 'localhost') {
    throw sqlError('invalid-argument', `connection_string names another machine: "${authority}"`);
  }
  return slash < 0 ? '' : text.slice(slash);
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    throw sqlError('invalid-argument', 'connection_string is not properly percent-encoded', error);
  }
}
