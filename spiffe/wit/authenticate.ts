import { compactVerify } from 'jose/jws/compact/verify';
import { SpiffeError } from '../error.ts';
import { goQuoteAll } from '../go-quote.ts';
import type { SpiffeId } from '../id.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts';
import { malformed, readCompact, readPayload, type TokenKind } from '../jwt/compact.ts';
import { audienceOf, expiryOf, textOf, timeOf } from '../jwt/registered-claims.ts';
import { type BoundTokens, hashesOf, MAX_PROOF_LIFETIME, tokenHash } from './proof.ts';
import type { ReplayCache } from './replay.ts';
import type { WitSvid } from './token.ts';
import { type UnprovenWitSvid, verifyUnprovenWitSvid, type WitSvidExpectation } from './verify.ts';

/** What a WIT-SVID and the proof beside it are judged by. */
export interface WitAuthenticationExpectation extends WitSvidExpectation {
  /**
   * The recipient's own names, at least one; the proof must be meant for one of them. Over HTTP the target URI as
   * `requestAudience` makes it from the recipient's configured origin; never from `Host` or `X-Forwarded-Host`, which the
   * sender chooses (WPT 3.1).
   */
  readonly audience: readonly string[];
  /** How far in the future a proof may end, seconds: up to 300; 60 when absent (WIT-SVID 7.2). */
  readonly maxProofLifetime?: number;
  /** The method of the request. A proof that covers a method is refused without. */
  readonly method?: string;
  /** Every other token of the message: each must be covered by the proof, and the proof must cover nothing else. */
  readonly tokens?: BoundTokens;
  /** Where given, a proof is accepted only once (WIT-SVID 7.2). */
  readonly replays?: ReplayCache;
}

/** A workload that presented a WIT-SVID and proved that it holds the key. */
export interface AuthenticatedWitPeer {
  readonly id: SpiffeId;
  readonly svid: WitSvid & { readonly state: 'authenticated' };
}

interface Proof {
  readonly audience: readonly string[];
  readonly claims: JsonObject;
  /** Unix seconds. */
  readonly expiresAt: number;
  readonly tokenId: string;
}

const WORKLOAD_PROOF: TokenKind = {
  name: 'workload proof token',
  code: 'invalid-wit-svid',
  types: new Set(['wpt+jwt']),
  typeRule: 'type is not wpt+jwt',
};

const DEFAULT_MAX_PROOF_LIFETIME = 60;
/** Seconds by which the sender's clock may be ahead in what its proof says of its beginning. */
const CLOCK_SKEW = 30;

/**
 * Authenticates the sender of a message by its WIT-SVID and a Workload Proof Token (WIT-SVID 5, 7; WPT 2). The same
 * WIT-SVID may come again and again (WIT-SVID 3.3), each time with another proof.
 *
 * @throws SpiffeError `invalid-wit-svid` for a token or proof that is not well formed or missing, `untrusted-wit-svid`
 * for one that is
 * @throws TypeError when no audience is expected, or a bound is not one
 */
export async function authenticateWitSvid(
  wit: string,
  proof: string,
  expected: WitAuthenticationExpectation,
): Promise<AuthenticatedWitPeer> {
  const { maxProofLifetime = DEFAULT_MAX_PROOF_LIFETIME, replays } = expected;
  const audience = expected.audience.filter((value) => value !== '');
  if (audience.length === 0) throw new TypeError('an audience must be expected');
  if (!(maxProofLifetime > 0 && maxProofLifetime <= MAX_PROOF_LIFETIME)) {
    throw new TypeError(`maxProofLifetime is not up to ${MAX_PROOF_LIFETIME} seconds`);
  }
  if (proof === '') throw new SpiffeError('invalid-wit-svid', 'WIT-SVID comes without a proof of possession');
  const svid = await verifyUnprovenWitSvid(wit, expected);
  const read = await verifyProof(proof, svid);
  if (read.claims['wth'] !== tokenHash(wit)) throw untrusted('proof is not for this WIT-SVID');
  if (!read.audience.some((value) => audience.includes(value))) {
    throw untrusted(`proof is for ${goQuoteAll(read.audience)}, not for ${goQuoteAll(audience)}`);
  }
  checkTimes(read, expected.now / 1000, maxProofLifetime);
  checkCoverage(read.claims, expected);
  // Last, so that nothing but an accepted proof takes room. The sender is part of the key (WPT 3.1).
  const isNew = await (replays?.add(`${svid.id} ${read.tokenId}`, read.expiresAt, expected.now / 1000) ?? true);
  if (!isNew) throw untrusted('proof was used before');
  return Object.freeze({ id: svid.id, svid: { ...svid, state: 'authenticated' as const } });
}

/** WPT 2: the algorithm that the token names, exactly, and a signature by its key. */
async function verifyProof(proof: string, { confirmation }: UnprovenWitSvid): Promise<Proof> {
  const parts = readCompact(proof, WORKLOAD_PROOF, 'ignore');
  if (parts.algorithm !== confirmation.algorithm)
    throw untrusted('proof uses another algorithm than the WIT-SVID names');
  const claims = readPayload(parts, WORKLOAD_PROOF);
  const tokenId = textOf(claims, 'jti', WORKLOAD_PROOF);
  if (tokenId === undefined || tokenId === '') throw malformed(WORKLOAD_PROOF, 'jti is missing');
  const audience = audienceOf(claims, WORKLOAD_PROOF);
  const expiresAt = expiryOf(claims, WORKLOAD_PROOF);
  try {
    await compactVerify(proof, confirmation.key, { algorithms: [confirmation.algorithm] });
  } catch (cause) {
    throw untrusted('proof is not signed by the key of the WIT-SVID', cause);
  }
  return { audience, claims, expiresAt, tokenId };
}

function checkTimes({ claims, expiresAt }: Proof, now: number, maxLifetime: number): void {
  if (now >= expiresAt) throw untrusted('proof has expired');
  if (expiresAt - now > maxLifetime) throw untrusted('proof lives longer than is accepted');
  const notBefore = timeOf(claims, 'nbf', WORKLOAD_PROOF) ?? -Infinity;
  const issuedAt = timeOf(claims, 'iat', WORKLOAD_PROOF) ?? -Infinity;
  if (now + CLOCK_SKEW < Math.max(notBefore, issuedAt)) throw untrusted('proof is not valid yet');
}

/** WIT-SVID 7.2, WPT 2: what the proof says of the message is so, and no token of the message is left out. */
function checkCoverage(claims: JsonObject, { method, tokens = {} }: WitAuthenticationExpectation): void {
  const { ath, tth, oth = {} } = hashesOf(tokens);
  const { oth: said = {} } = claims;
  if (claims['htm'] !== undefined && claims['htm'] !== method) throw untrusted('proof is for another method');
  if (claims['ath'] !== ath) throw untrusted('proof does not cover the access token that is there');
  if (claims['tth'] !== tth) throw untrusted('proof does not cover the transaction token that is there');
  if (!sameMembers(said, oth)) throw untrusted('proof does not cover the other tokens that are there');
}

function sameMembers(said: JsonValue, seen: Readonly<Record<string, string>>): boolean {
  if (!isJsonObject(said)) return false;
  const names = Object.keys(said);
  return names.length === Object.keys(seen).length && names.every((name) => said[name] === seen[name]);
}

function untrusted(message: string, cause?: unknown): SpiffeError {
  return new SpiffeError('untrusted-wit-svid', message, cause === undefined ? undefined : { cause });
}
