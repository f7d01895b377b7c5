import { SpiffeError, type SpiffeErrorCode } from '../spiffe/error.ts';

/** Every way a call of ours can fail. `common/rpc/status.ts` maps each to one gRPC status and back. */
export type ErrorCode =
  | 'cancelled'
  | 'unknown'
  | 'invalid-argument'
  | 'deadline-exceeded'
  | 'not-found'
  | 'already-exists'
  | 'permission-denied'
  | 'resource-exhausted'
  | 'failed-precondition'
  | 'aborted'
  | 'out-of-range'
  | 'unimplemented'
  | 'internal'
  | 'unavailable'
  | 'data-loss'
  | 'unauthenticated';

/** Why the server denies an agent; travels as a status detail and tells the agent what to do next. */
export type DenialReason =
  | 'agent-expired'
  | 'agent-not-attested'
  | 'agent-not-active'
  | 'agent-banned'
  | 'agent-must-reattest';

/**
 * The one error class of the product. `message` is public: it reaches callers, logs and terminals, so it never holds a
 * key, a token or a selector. What only the operator's log may show goes into `cause`.
 */
export class FinialError extends Error {
  readonly code: ErrorCode;
  readonly denial: DenialReason | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; denial?: DenialReason } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'FinialError';
    this.code = code;
    this.denial = options.denial;
  }
}

const ofSpiffe: Record<SpiffeErrorCode, ErrorCode> = {
  'invalid-id': 'invalid-argument',
  'invalid-trust-domain': 'invalid-argument',
  'invalid-selector': 'invalid-argument',
  'invalid-der': 'invalid-argument',
  'invalid-certificate': 'invalid-argument',
  'invalid-csr': 'invalid-argument',
  'invalid-key': 'invalid-argument',
  'invalid-pem': 'invalid-argument',
  'invalid-x509-svid': 'invalid-argument',
  'untrusted-x509-svid': 'unauthenticated',
  'invalid-jwt-svid': 'invalid-argument',
  'untrusted-jwt-svid': 'invalid-argument',
  'invalid-wit-svid': 'invalid-argument',
  'untrusted-wit-svid': 'invalid-argument',
  'invalid-bundle': 'invalid-argument',
  'unknown-trust-domain': 'not-found',
};

/** Turns whatever was thrown into the one class. An unknown error becomes `internal` and keeps its message. */
export function toFinialError(thrown: unknown): FinialError {
  if (thrown instanceof FinialError) return thrown;
  if (thrown instanceof SpiffeError) return new FinialError(ofSpiffe[thrown.code], thrown.message, { cause: thrown });
  if (thrown instanceof Error && thrown.name === 'AbortError') {
    return new FinialError('cancelled', 'cancelled', { cause: thrown });
  }
  return new FinialError('internal', messageOf(thrown), { cause: thrown });
}

/** The same error with `context: ` before its message, as a caller adds what it was doing. */
export function withContext(context: string, thrown: unknown): FinialError {
  const error = toFinialError(thrown);
  const denial = error.denial === undefined ? {} : { denial: error.denial };
  return new FinialError(error.code, `${context}: ${error.message}`, { cause: error, ...denial });
}

/** What was thrown, as a text. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Whether `thrown` is an error of ours with this code. */
export function hasCode(thrown: unknown, code: ErrorCode): thrown is FinialError {
  return thrown instanceof FinialError && thrown.code === code;
}
