import { SpiffeError } from '../error.ts';
import { parseSpiffeId, type SpiffeId } from '../id.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import type { TokenKind } from './compact.ts';

/** A token with more audiences is refused. */
const MAX_AUDIENCES = 100;

/** The SPIFFE ID in `sub` (JWT-SVID 3.1, WIT-SVID 3.1). @throws SpiffeError with the code of the kind */
export function subjectOf({ sub }: JsonObject, kind: TokenKind): SpiffeId {
  if (sub === undefined || sub === null || sub === '') throw new SpiffeError(kind.code, 'token missing subject claim');
  const wrong = 'token has in invalid subject claim'; // sic: scripts match what the reference says
  if (typeof sub !== 'string') throw new SpiffeError(kind.code, `${wrong}: not a string`);
  try {
    return parseSpiffeId(sub);
  } catch (cause) {
    if (cause instanceof SpiffeError) throw new SpiffeError(kind.code, `${wrong}: ${cause.message}`, { cause });
    throw cause;
  }
}

/** `aud` as a list; one value may stand without a list (RFC 7519 4.1.3). @throws SpiffeError with the code of the kind */
export function audienceOf({ aud }: JsonObject, kind: TokenKind): readonly string[] {
  if (aud === undefined) return [];
  const values: readonly JsonValue[] = typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud : [null];
  if (values.length > MAX_AUDIENCES) {
    throw new SpiffeError(kind.code, `token has more than ${MAX_AUDIENCES} audiences`);
  }
  return values.map((value) => {
    if (typeof value !== 'string') {
      throw new SpiffeError(kind.code, 'token aud claim is neither a string nor a list of strings');
    }
    return value;
  });
}

/** `exp`, which no token of SPIFFE may lack: Unix seconds. @throws SpiffeError with the code of the kind */
export function expiryOf(claims: JsonObject, kind: TokenKind): number {
  const { exp } = claims;
  const time = exp === null ? undefined : timeOf(claims, 'exp', kind);
  if (time === undefined) throw new SpiffeError(kind.code, 'token missing exp claim');
  return time;
}

/**
 * A NumericDate (RFC 7519 2): Unix seconds, perhaps with a fraction. One too large to compare exactly is refused.
 *
 * @throws SpiffeError with the code of the kind
 */
export function timeOf(claims: JsonObject, name: 'exp' | 'iat' | 'nbf', kind: TokenKind): number | undefined {
  const time = claims[name];
  if (time === undefined) return undefined;
  if (typeof time !== 'number' || Math.abs(time) > Number.MAX_SAFE_INTEGER) {
    throw new SpiffeError(kind.code, `token ${name} claim is not a time`);
  }
  return time;
}

/** A claim that is text where it is there at all (RFC 7519 4.1.1, 4.1.7). @throws SpiffeError with the code of the kind */
export function textOf(claims: JsonObject, name: string, kind: TokenKind): string | undefined {
  const text = claims[name];
  if (text === undefined || typeof text === 'string') return text;
  throw new SpiffeError(kind.code, `token ${name} claim is not a string`);
}
