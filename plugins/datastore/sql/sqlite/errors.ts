import { type ErrorCode, FinialError, messageOf, withContext } from '../../../../common/errors.ts';
import { sqlError } from '../errors.ts';

/** By the first part of SQLite's result code; what it says itself is only shown for the rest. */
const EXPLAINED: readonly { readonly prefix: string; readonly code: ErrorCode; readonly text: string }[] = [
  { prefix: 'SQLITE_BUSY', code: 'unavailable', text: 'is locked by another process' },
  { prefix: 'SQLITE_LOCKED', code: 'unavailable', text: 'is locked' },
  { prefix: 'SQLITE_NOTADB', code: 'data-loss', text: 'is not a SQLite database or is damaged' },
  { prefix: 'SQLITE_CORRUPT', code: 'data-loss', text: 'is damaged' },
  { prefix: 'SQLITE_READONLY', code: 'failed-precondition', text: 'cannot be written to' },
  { prefix: 'SQLITE_CANTOPEN', code: 'failed-precondition', text: 'cannot be opened' },
  { prefix: 'SQLITE_PERM', code: 'failed-precondition', text: 'may not be accessed' },
  { prefix: 'SQLITE_FULL', code: 'resource-exhausted', text: 'cannot grow: the disk is full' },
  { prefix: 'SQLITE_IOERR', code: 'unavailable', text: 'cannot be read or written: input/output error' },
];

/** Turns what an engine throws into our error, naming the file where the file is the matter. */
export function fromSqlite(thrown: unknown, file: string): FinialError {
  if (thrown instanceof FinialError) return thrown;
  const code = sqliteCode(thrown);
  if (code.startsWith('SQLITE_CONSTRAINT')) return sqlError('already-exists', messageOf(thrown), thrown);
  const known = EXPLAINED.find(({ prefix }) => code.startsWith(prefix));
  if (known !== undefined) return sqlError(known.code, `database "${file}" ${known.text} (${code})`, thrown);
  return sqlError('internal', messageOf(thrown), thrown);
}

/** The same error, with the file in its message: a server that gives up has to say on what. */
export function namingFile(error: FinialError, file: string): FinialError {
  return error.message.includes(file) ? error : withContext(`database "${file}"`, error);
}

/** Whether trying again later may succeed, as another process holds the lock. */
export function isBusy(thrown: unknown): boolean {
  return sqliteCode(thrown).startsWith('SQLITE_BUSY');
}

/** What `node:sqlite` gives as numbers (https://sqlite.org/rescode.html), by the names that better-sqlite3 gives. */
const PRIMARY_CODES: Readonly<Record<number, string>> = {
  3: 'SQLITE_PERM',
  5: 'SQLITE_BUSY',
  6: 'SQLITE_LOCKED',
  8: 'SQLITE_READONLY',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  19: 'SQLITE_CONSTRAINT',
  26: 'SQLITE_NOTADB',
};

function sqliteCode(thrown: unknown): string {
  if (!(thrown instanceof Error)) return '';
  // The low byte of a result code is its kind.
  if ('errcode' in thrown && typeof thrown.errcode === 'number') return PRIMARY_CODES[thrown.errcode & 0xff] ?? '';
  return 'code' in thrown && typeof thrown.code === 'string' && thrown.code.startsWith('SQLITE_') ? thrown.code : '';
}
