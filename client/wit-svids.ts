import { FinialError, messageOf } from '../common/errors.ts';
import type { WITBundlesResponse__Output } from '../proto/gen/workload/WITBundlesResponse.ts';
import type { WITSVID__Output } from '../proto/gen/workload/WITSVID.ts';
import type { WITSVIDResponse__Output } from '../proto/gen/workload/WITSVIDResponse.ts';
import type { JwtAuthority } from '../spiffe/bundle/bundle.ts';
import { witAuthoritiesFromJwks } from '../spiffe/bundle/json.ts';
import { parseSpiffeId, type SpiffeId } from '../spiffe/id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { readWitSvidKey, type WitSvidKey } from '../spiffe/wit/confirmation.ts';
import { parseWitSvid } from '../spiffe/wit/token.ts';
import { malformed, readMandatoryBundles } from './authorities.ts';
import { checkHint, firstOfEachHint } from './hint.ts';

/** A token of this process, and the key that makes the proofs without which nobody accepts it. */
export interface HeldWitSvid {
  readonly id: SpiffeId;
  readonly token: string;
  readonly key: WitSvidKey;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  readonly hint: string;
}

/** The public keys that verify the WIT-SVIDs of each trust domain. */
export type WitBundles = ReadonlyMap<TrustDomain, readonly JwtAuthority[]>;

const MAX_SVIDS = 1000;

/**
 * What a FetchWITSVID message means. The private key must be the one that the token is bound to.
 *
 * @throws FinialError `data-loss` naming what is wrong
 */
export function readWitSvids({ svids: raw }: WITSVIDResponse__Output): readonly [HeldWitSvid, ...HeldWitSvid[]] {
  if (raw.length > MAX_SVIDS) throw malformed(`more than ${MAX_SVIDS} identities`);
  const svids = raw.map((one, index) => {
    try {
      return readWitSvid(one);
    } catch (error) {
      throw malformed(`svids[${index}]: ${messageOf(error)}`, error);
    }
  });
  const [first, ...others] = firstOfEachHint(svids);
  if (first === undefined) throw malformed('svids is empty');
  return Object.freeze([first, ...others] as const);
}

function readWitSvid({ spiffe_id, wit_svid, wit_svid_key, hint }: WITSVID__Output): HeldWitSvid {
  for (const [name, value] of Object.entries({ spiffe_id, wit_svid, wit_svid_key })) {
    if (value === '') throw new FinialError('data-loss', `${name} is empty`);
  }
  checkHint(hint);
  const { id, confirmation, expiresAt } = parseWitSvid(wit_svid);
  if (parseSpiffeId(spiffe_id) !== id) throw new FinialError('data-loss', 'spiffe_id is not the subject of the token');
  const key = readWitSvidKey(wit_svid_key, confirmation);
  return Object.freeze({ id, token: wit_svid, key, expiresAt: expiresAt * 1000, hint });
}

/** What a FetchWITBundles message means. @throws FinialError `data-loss` */
export function readWitBundles({ bundles }: WITBundlesResponse__Output): WitBundles {
  return readMandatoryBundles(bundles, (jwks) => Object.freeze(jwks === '' ? [] : witAuthoritiesFromJwks(jwks)));
}
