import { type ErrorCode, FinialError } from '../../common/errors.ts';
import type { Logger } from '../../common/log/logger.ts';
import { type ItemStatus, toItemStatus } from '../../common/rpc/status.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { CallState } from './call-state.ts';

/**
 * The one way in which handlers fail: logs in the reference's words and gives the error with its public text, which is
 * `what: why` or, when something was not found, `what` alone.
 *
 * @param why the failure underneath; only errors that are public by contract are repeated to callers
 */
export function refuse(log: Logger, code: ErrorCode, what: string, why?: unknown): FinialError {
  const line = code === 'invalid-argument' ? `Invalid argument: ${what}` : capitalized(what);
  log.error(line, why === undefined || code === 'not-found' ? {} : { error: why });
  if (why === undefined || code === 'not-found') return new FinialError(code, what);
  return new FinialError(code, `${what}: ${publicText(why)}`, { cause: why });
}

/** As `refuse`, for one item of a batch. */
export function refuseItem(log: Logger, code: ErrorCode, what: string, why?: unknown): ItemStatus {
  return toItemStatus(refuse(log, code, what, why));
}

/** The code of an error of ours; anything else is internal. */
export function codeOf(thrown: unknown): ErrorCode {
  if (!(thrown instanceof FinialError)) return 'internal';
  return thrown.code === 'unknown' ? 'internal' : thrown.code;
}

function publicText(why: unknown): string {
  return why instanceof FinialError || why instanceof SpiffeError ? why.message : 'internal error';
}

function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** Reads something out of a request; what `read` throws refuses the call as the caller's fault. */
export function readOrRefuse<T>(log: Logger, what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw refuse(log, 'invalid-argument', what, error);
  }
}

/** Work of the server's own; whatever fails in it is internal to the caller. */
export async function workOrRefuse<T>(log: Logger, what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw refuse(log, 'internal', what, error);
  }
}

/** Takes tokens from the caller's rate limit, waiting for them; refuses what can never pass. */
export async function limitOrRefuse(state: CallState, count: number, what: string): Promise<void> {
  try {
    await state.limit(count);
  } catch (error) {
    throw error instanceof FinialError ? refuse(state.log, error.code, what, error) : error;
  }
}
