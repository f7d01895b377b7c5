import { createHash, createPublicKey } from 'node:crypto';
import { CompactSign } from 'jose/jws/compact/sign';
import { SpiffeError } from '../error.ts';
import type { WitSvidKey } from './confirmation.ts';
import { parseWitSvid } from './token.ts';
import { tokenIdOf } from './token-id.ts';

/**
 * Other tokens of the message that a proof is bound to: the recipient then knows that the holder of the WIT-SVID sent
 * them along.
 */
export interface BoundTokens {
  /** An OAuth access token: the claim `ath`. */
  readonly accessToken?: string;
  /** A transaction token: the claim `tth`. */
  readonly transactionToken?: string;
  /** Values of other header fields that hold tokens, by field name: the claim `oth`. */
  readonly others?: Readonly<Record<string, string>>;
}

/** A proof to be made. */
export interface WorkloadProofTemplate {
  /** The WIT-SVID that is presented with it. */
  readonly wit: string;
  /** Of that WIT-SVID. */
  readonly key: WitSvidKey;
  /** Whom it is for: over HTTP the target URI as `proofAudience` makes it (WPT 2). */
  readonly audience: string;
  /** Unix ms. */
  readonly now: number;
  /** Seconds, 1 to 300; 30 when absent, which tolerates clocks half a minute apart. */
  readonly lifetime?: number;
  /** At least 16 random bytes, never used before. */
  readonly random: Uint8Array;
  /** The method of the HTTP request, if the proof is to cover it: the claim `htm` of RFC 9449 4.2. */
  readonly method?: string;
  readonly tokens?: BoundTokens;
}

/** WIT-SVID 7.2: as short as works. */
export const DEFAULT_PROOF_LIFETIME = 30;
/** Seconds; "minutes or seconds" (WPT 2). */
export const MAX_PROOF_LIFETIME = 300;

/**
 * Makes a Workload Proof Token (WPT 2), which shows to one recipient, for a moment, that its sender holds the key of a
 * WIT-SVID.
 *
 * @returns the proof in compact form
 * @throws SpiffeError `invalid-wit-svid` when it would be refused everywhere
 */
export async function signWorkloadProof(proof: WorkloadProofTemplate): Promise<string> {
  const { audience, key, lifetime = DEFAULT_PROOF_LIFETIME, method, now, random, tokens = {}, wit } = proof;
  const { confirmation, expiresAt } = parseWitSvid(wit);
  const isItsKey = createPublicKey(key.privateKey).equals(confirmation.key) && key.algorithm === confirmation.algorithm;
  if (!isItsKey) throw invalid('the key is not that of the WIT-SVID');
  if (audience === '') throw invalid('a proof needs an audience');
  if (!(lifetime >= 1 && lifetime <= MAX_PROOF_LIFETIME)) {
    throw invalid(`a proof lives 1 to ${MAX_PROOF_LIFETIME} seconds`);
  }
  const claims = {
    aud: audience,
    // WPT 3.2: the key is not used any more once the WIT-SVID has expired.
    exp: Math.min(Math.floor(now / 1000 + lifetime), Math.floor(expiresAt)),
    jti: tokenIdOf(random),
    wth: tokenHash(wit),
    ...(method !== undefined && { htm: method }),
    ...hashesOf(tokens),
  };
  if (!(claims.exp > now / 1000)) throw invalid('the WIT-SVID has expired');
  return new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: key.algorithm, typ: 'wpt+jwt' })
    .sign(key.privateKey);
}

/** The claims that bind a proof to other tokens. */
export function hashesOf({ accessToken, others = {}, transactionToken }: BoundTokens): {
  readonly ath?: string;
  readonly tth?: string;
  readonly oth?: Readonly<Record<string, string>>;
} {
  const oth = Object.entries(others).map(([name, value]): [string, string] => [
    name.toLowerCase(),
    tokenHash(value.trim()),
  ]);
  return {
    ...(accessToken !== undefined && { ath: tokenHash(accessToken) }),
    ...(transactionToken !== undefined && { tth: tokenHash(transactionToken) }),
    ...(oth.length > 0 && { oth: Object.fromEntries(oth) }),
  };
}

/** How a proof names a token: base64url of SHA-256 of its ASCII text (WPT 2). */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token, 'latin1').digest('base64url');
}

function invalid(message: string): SpiffeError {
  return new SpiffeError('invalid-wit-svid', message);
}
