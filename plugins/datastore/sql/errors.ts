import { type ErrorCode, FinialError } from '../../../common/errors.ts';

/** An error of the database or of what is stored in it; the prefix is the reference's, which clients see. */
export function sqlError(code: ErrorCode, message: string, cause?: unknown): FinialError {
  return new FinialError(code, `datastore-sql: ${message}`, cause === undefined ? {} : { cause });
}

/** A value that may not be stored. */
export function validationError(message: string): FinialError {
  return new FinialError('invalid-argument', `datastore-validation: ${message}`);
}

/** The row that a change or deletion names does not exist. */
export function notFound(): FinialError {
  return sqlError('not-found', 'record not found');
}
