import { SpiffeError } from '../error.ts';
import { pathOf, type SpiffeId } from '../id.ts';
import type { JsonValue } from '../json.ts';
import { type CompactToken, readCompact, readPayload, type TokenKind } from '../jwt/compact.ts';
import { expiryOf, subjectOf, textOf, timeOf } from '../jwt/registered-claims.ts';
import { type ConfirmationKey, readConfirmation } from './confirmation.ts';

/** What a WIT-SVID says. Times are Unix seconds, perhaps with a fraction; undefined where the token does not say. */
export interface WitSvid {
  readonly id: SpiffeId;
  readonly keyId: string;
  /** The key whose holder the token speaks of. */
  readonly confirmation: ConfirmationKey;
  readonly expiresAt: number;
  readonly notBefore: number | undefined;
  /** Never delays validity (WIT-SVID 3.6). */
  readonly issuedAt: number | undefined;
  /** For audits. It must not be used to detect replays (WIT-SVID 3.3). */
  readonly tokenId: string | undefined;
  readonly issuer: string | undefined;
  /** All claims. Only those of the standard mean something across trust domains. */
  readonly claims: Readonly<Record<string, JsonValue>>;
}

/** A token as it describes itself. Good for one's own tokens, and never a proof of anything. */
export interface UnverifiedWitSvid extends WitSvid {
  readonly state: 'unverified';
}

const WIT_SVID: TokenKind = {
  name: 'WIT-SVID',
  code: 'invalid-wit-svid',
  types: new Set(['wit+jwt']),
  typeRule: 'type is not wit+jwt',
};

/**
 * Reads a WIT-SVID without verifying it: for tokens that come straight from one's own agent or server.
 *
 * @throws SpiffeError `invalid-wit-svid`
 */
export function parseWitSvid(token: string): UnverifiedWitSvid {
  return { ...readWitSvid(token).svid, state: 'unverified' };
}

/**
 * Takes a WIT-SVID apart: the header (WIT-SVID 2; more members than are known are passed over), then the form of the
 * claims (WIT-SVID 3).
 *
 * @throws SpiffeError `invalid-wit-svid`
 */
export function readWitSvid(token: string): { readonly parts: CompactToken; readonly svid: WitSvid } {
  const parts = readCompact(token, WIT_SVID, 'ignore');
  const { keyId } = parts;
  if (keyId === undefined) throw invalid('token header missing key id');
  const claims = readPayload(parts, WIT_SVID);
  const id = subjectOf(claims, WIT_SVID);
  // WIT-SVID 3.8: whatever its value.
  if ('aud' in claims) throw invalid('token has an aud claim');
  const svid: WitSvid = {
    id,
    keyId,
    confirmation: readConfirmation(claims['cnf']),
    expiresAt: expiryOf(claims, WIT_SVID),
    notBefore: timeOf(claims, 'nbf', WIT_SVID),
    issuedAt: timeOf(claims, 'iat', WIT_SVID),
    tokenId: textOf(claims, 'jti', WIT_SVID),
    issuer: textOf(claims, 'iss', WIT_SVID),
    claims: { ...claims },
  };
  return { parts, svid };
}

/** @throws SpiffeError `invalid-wit-svid` for a subject that names a whole trust domain */
export function requirePath({ id }: WitSvid): void {
  if (pathOf(id) === '') throw invalid('token has in invalid subject claim: path is missing');
}

function invalid(message: string): SpiffeError {
  return new SpiffeError('invalid-wit-svid', message);
}
