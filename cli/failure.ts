import { type ErrorCode, FinialError } from '../common/errors.ts';

/** The names that the reference prints for codes of failed calls. */
const NAMES: Record<ErrorCode, string> = {
  cancelled: 'Canceled',
  unknown: 'Unknown',
  'invalid-argument': 'InvalidArgument',
  'deadline-exceeded': 'DeadlineExceeded',
  'not-found': 'NotFound',
  'already-exists': 'AlreadyExists',
  'permission-denied': 'PermissionDenied',
  'resource-exhausted': 'ResourceExhausted',
  'failed-precondition': 'FailedPrecondition',
  aborted: 'Aborted',
  'out-of-range': 'OutOfRange',
  unimplemented: 'Unimplemented',
  internal: 'Internal',
  unavailable: 'Unavailable',
  'data-loss': 'DataLoss',
  unauthenticated: 'Unauthenticated',
};

/** Codes by their gRPC number, as batch items carry them. */
const BY_NUMBER: readonly string[] = ['OK', ...Object.values(NAMES)];

/** The name of a status number, such as `AlreadyExists` for 6. */
export function statusName(code: number): string {
  return BY_NUMBER[code] ?? `Code(${code})`;
}

/** How a failed call is printed: scripts in the field match `code = …` and `desc = …`. */
export function callText(thrown: unknown): string {
  if (!(thrown instanceof FinialError)) return thrown instanceof Error ? thrown.message : String(thrown);
  return `rpc error: code = ${NAMES[thrown.code]} desc = ${thrown.message}`;
}

/** What a command reports in exactly these words. */
export function commandFailure(message: string, options?: { cause?: unknown }): FinialError {
  return new FinialError('failed-precondition', message, options);
}

/** `what: rpc error: …`, or the call's own text when `what` is empty. */
export function callFailure(what: string, thrown: unknown): FinialError {
  const text = callText(thrown);
  return commandFailure(what === '' ? text : `${what}: ${text}`, { cause: thrown });
}
