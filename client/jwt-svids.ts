import { FinialError, messageOf } from '../common/errors.ts';
import { fromStruct, type JsonObject } from '../common/rpc/struct.ts';
import type { JWTBundlesResponse__Output } from '../proto/gen/workload/JWTBundlesResponse.ts';
import type { JWTSVID__Output } from '../proto/gen/workload/JWTSVID.ts';
import type { JWTSVIDResponse__Output } from '../proto/gen/workload/JWTSVIDResponse.ts';
import type { ValidateJWTSVIDResponse__Output } from '../proto/gen/workload/ValidateJWTSVIDResponse.ts';
import { parseSpiffeId, type SpiffeId } from '../spiffe/id.ts';
import { readUnverifiedJwtSvid } from '../spiffe/jwt/verify.ts';
import { malformed, readMandatoryBundles, readJwtAuthorities } from './authorities.ts';
import { checkHint, firstOfEachHint } from './hint.ts';
import type { JwtBundles } from './source.ts';

/** A token that proves this process to whoever it names as audience. */
export interface JwtSvid {
  readonly id: SpiffeId;
  /** To be sent over confidential connections only, as a bearer token. */
  readonly token: string;
  readonly audience: readonly string[];
  /** Unix milliseconds; undefined when the token does not say. */
  readonly issuedAt: number | undefined;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  readonly hint: string;
}

/** A token that the agent judged to be valid. */
export interface ValidatedJwtSvid {
  readonly id: SpiffeId;
  /** As far as the agent passes them on. Only `sub`, `aud` and `exp` mean something across trust domains. */
  readonly claims: JsonObject;
}

const MAX_SVIDS = 1000;

/**
 * What a FetchJWTSVID answer means. The tokens come from one's own agent and are not verified, but each must be what
 * was asked for: of the identity beside it, and for every audience.
 *
 * @param wanted what was asked; without `id` every identity is welcome
 * @throws FinialError `data-loss`
 */
export function readJwtSvids(
  { svids }: JWTSVIDResponse__Output,
  wanted: { readonly audience: readonly string[]; readonly id?: SpiffeId | undefined },
): readonly [JwtSvid, ...JwtSvid[]] {
  if (svids.length > MAX_SVIDS) throw malformed(`more than ${MAX_SVIDS} tokens`);
  const read = svids.map((one, index) => {
    try {
      return readJwtSvid(one, wanted);
    } catch (error) {
      throw malformed(`svids[${index}]: ${messageOf(error)}`, error);
    }
  });
  const [first, ...others] = firstOfEachHint(read);
  if (first === undefined) throw malformed('svids is empty');
  return [first, ...others];
}

function readJwtSvid(
  { spiffe_id, svid: token, hint }: JWTSVID__Output,
  wanted: { readonly audience: readonly string[]; readonly id?: SpiffeId | undefined },
): JwtSvid {
  checkHint(hint);
  if (token === '') throw new FinialError('data-loss', 'svid is empty');
  if (spiffe_id === '') throw new FinialError('data-loss', 'spiffe_id is empty');
  const { id, audience, issuedAt, expiresAt } = readUnverifiedJwtSvid(token);
  if (parseSpiffeId(spiffe_id) !== id) throw new FinialError('data-loss', 'spiffe_id is not the subject of the token');
  if (wanted.id !== undefined && id !== wanted.id) {
    throw new FinialError('data-loss', `token of ${id} instead of ${wanted.id}`);
  }
  if (!wanted.audience.every((one) => audience.includes(one))) {
    throw new FinialError('data-loss', 'token lacks an audience that was asked for');
  }
  const issued = issuedAt === undefined ? undefined : issuedAt * 1000;
  return Object.freeze({ id, token, audience, issuedAt: issued, expiresAt: expiresAt * 1000, hint });
}

/** What a FetchJWTBundles message means. @throws FinialError `data-loss` */
export function readJwtBundles({ bundles }: JWTBundlesResponse__Output): JwtBundles {
  return readMandatoryBundles(bundles, readJwtAuthorities);
}

/** What a ValidateJWTSVID answer means. @throws FinialError `data-loss` when a mandatory field is missing */
export function readValidation({ spiffe_id, claims }: ValidateJWTSVIDResponse__Output): ValidatedJwtSvid {
  if (spiffe_id === '') throw malformed('spiffe_id is empty');
  if (claims === null) throw malformed('claims are missing');
  return { id: parseSpiffeId(spiffe_id), claims: fromStruct(claims) };
}
