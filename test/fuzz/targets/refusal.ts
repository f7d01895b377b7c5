import { FinialError, type ErrorCode } from '../../../common/errors.ts';
import { SpiffeError, type SpiffeErrorCode } from '../../../spiffe/error.ts';
import { Broken } from '../target.ts';

/** Whether an error is one of the standards library with one of these codes. */
export function spiffeErrors(...codes: readonly SpiffeErrorCode[]): (error: unknown) => boolean {
  return (error) => error instanceof SpiffeError && codes.includes(error.code) && hidesNoMistake(error);
}

/** Whether an error is one of the product with one of these codes. */
export function finialErrors(...codes: readonly ErrorCode[]): (error: unknown) => boolean {
  return (error) => error instanceof FinialError && codes.includes(error.code) && hidesNoMistake(error);
}

/** Errors that the language itself throws; those of Node and its libraries have a code. */
const MISTAKES = [TypeError, RangeError, ReferenceError, SyntaxError];

/**
 * Sees that a documented error is not made of one that nobody foresaw.
 *
 * @throws Broken
 */
export function hidesNoMistake(error: Error): true {
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause) {
    const thrown = cause;
    if (MISTAKES.some((kind) => thrown instanceof kind) && !('code' in thrown)) {
      throw new Broken(`a mistake as the cause of "${error.message}"`, { cause: thrown });
    }
  }
  return true;
}
