/**
 * What a SPIFFE standard says is wrong with a value. The set is closed: callers switch on it, and the compiler knows
 * the list. `common/errors.ts` turns each into the status of the process that met it.
 */
export type SpiffeErrorCode =
  | 'invalid-id'
  | 'invalid-trust-domain'
  | 'invalid-selector'
  | 'invalid-der'
  | 'invalid-certificate'
  | 'invalid-csr'
  | 'invalid-key'
  | 'invalid-pem'
  | 'invalid-x509-svid'
  | 'untrusted-x509-svid'
  | 'invalid-jwt-svid'
  | 'untrusted-jwt-svid'
  | 'invalid-wit-svid'
  | 'untrusted-wit-svid'
  | 'invalid-bundle'
  | 'unknown-trust-domain';

/**
 * The one error class of the standards library. The message is safe to show: it names the rule and the place, never a
 * key or a token. The library imports nothing of the product, so it cannot use the product's own error class.
 */
export class SpiffeError extends Error {
  readonly code: SpiffeErrorCode;

  constructor(code: SpiffeErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'SpiffeError';
    this.code = code;
  }
}
