import { FinialError } from '../../common/errors.ts';
import { toStruct } from '../../common/rpc/struct.ts';
import type { JWTBundlesResponse } from '../../proto/gen/workload/JWTBundlesResponse.ts';
import type { JWTSVIDResponse } from '../../proto/gen/workload/JWTSVIDResponse.ts';
import type { ValidateJWTSVIDResponse } from '../../proto/gen/workload/ValidateJWTSVIDResponse.ts';
import type { X509BundlesResponse } from '../../proto/gen/workload/X509BundlesResponse.ts';
import type { X509SVIDResponse } from '../../proto/gen/workload/X509SVIDResponse.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { jwksOf } from '../../spiffe/bundle/json.ts';
import { parseSpiffeId, trustDomainId, trustDomainOf } from '../../spiffe/id.ts';
import { verifyJwtSvid } from '../../spiffe/jwt/verify.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { X509Svid } from '../source.ts';
import type { TestAuthority } from './authority.ts';

/** How things stand for the workload that the fake serves. */
export interface FakeState {
  /** Its own trust domain's. */
  readonly authority: TestAuthority;
  /** Everybody who issues, the own trust domain's among them. */
  readonly authorities: ReadonlyMap<TrustDomain, TestAuthority>;
  /** The identities of the workload, the default one first. */
  readonly svids: readonly X509Svid[];
  /** Bundles of other trust domains. */
  readonly federated: ReadonlyMap<TrustDomain, Pick<TestAuthority, 'bundle'>>;
  readonly crl: readonly Buffer[];
  readonly revoked: boolean;
}

/** FetchX509SVID (SPIFFE Workload API 5.2.1). @throws FinialError `permission-denied` without an identity */
export function x509SvidResponse(state: FakeState): X509SVIDResponse {
  refuseWithoutIdentity(state);
  const federated = Array.from(foreignBundles(state), ([key, bundle]) => [key, derOf(bundle)] as const);
  return {
    svids: state.svids.map(({ id, chain, privateKey, hint }) => ({
      spiffe_id: id,
      x509_svid: Buffer.concat(chain),
      x509_svid_key: privateKey.export({ type: 'pkcs8', format: 'der' }),
      bundle: derOf(issuerOf(state, trustDomainOf(id)).bundle),
      hint,
    })),
    federated_bundles: Object.fromEntries(federated),
    crl: state.crl,
  };
}

/** FetchX509Bundles (5.2.2). @throws FinialError `permission-denied` when everything was revoked */
export function x509BundlesResponse(state: FakeState): X509BundlesResponse {
  return {
    bundles: Object.fromEntries(Array.from(allBundles(state), ([key, one]) => [key, derOf(one)])),
    crl: state.crl,
  };
}

/** FetchJWTBundles (6.2.2). @throws FinialError `permission-denied` when everything was revoked */
export function jwtBundlesResponse(state: FakeState): JWTBundlesResponse {
  return {
    bundles: Object.fromEntries(Array.from(allBundles(state), ([key, one]) => [key, Buffer.from(jwksOf(one))])),
  };
}

/**
 * FetchJWTSVID (6.2.1).
 *
 * @throws FinialError `invalid-argument` without an audience or for an ID that is none, `permission-denied` for an
 *   identity that the workload has not
 */
export async function jwtSvidResponse(
  state: FakeState,
  wanted: { readonly audience: readonly string[]; readonly spiffe_id: string },
  ttlSeconds: number,
): Promise<JWTSVIDResponse> {
  const audience = wanted.audience.filter((one) => one !== '');
  if (audience.length === 0) throw new FinialError('invalid-argument', 'audience must be specified');
  const id = wanted.spiffe_id === '' ? undefined : parseSpiffeId(wanted.spiffe_id);
  refuseWithoutIdentity(state);
  const svids = state.svids.filter((one) => id === undefined || one.id === id);
  if (svids.length === 0) throw noIdentity();
  const token = async ({ id: spiffe_id, hint }: X509Svid) => {
    const issuer = issuerOf(state, trustDomainOf(spiffe_id));
    return { spiffe_id, hint, svid: await issuer.issueJwt(spiffe_id, audience, { ttlSeconds }) };
  };
  return { svids: await Promise.all(svids.map(token)) };
}

/**
 * ValidateJWTSVID (6.2.3): verifies with the bundles that the workload may use.
 *
 * @param now Unix ms
 * @throws FinialError or SpiffeError, which callers see as `invalid-argument`
 */
export async function validateJwtSvidResponse(
  state: FakeState,
  { audience, svid: token }: { readonly audience: string; readonly svid: string },
  now: number,
): Promise<ValidateJWTSVIDResponse> {
  if (audience === '') throw new FinialError('invalid-argument', 'audience must be specified');
  if (token === '') throw new FinialError('invalid-argument', 'svid must be specified');
  if (state.revoked) throw noIdentity();
  const authorities = (of: TrustDomain) => bundlesOf(state).get(of)?.jwtAuthorities;
  const { id, claims } = await verifyJwtSvid(token, { audience: [audience], authorities, now });
  return { spiffe_id: id, claims: toStruct(claims) };
}

/** @throws TypeError when the fake was given no authority of the trust domain */
export function issuerOf({ authorities }: Pick<FakeState, 'authorities'>, trustDomain: TrustDomain): TestAuthority {
  const authority = authorities.get(trustDomain);
  if (authority === undefined) throw new TypeError(`the fake has no authority of ${trustDomain}: see authorityOf`);
  return authority;
}

/** Own trust domains before others, as a bundle of one's own is never that of a federation. */
function bundlesOf(state: FakeState): Map<TrustDomain, Bundle> {
  const own = new Set([state.authority.trustDomain, ...state.svids.map(({ id }) => trustDomainOf(id))]);
  const bundles = new Map(Array.from(own, (one) => [one, issuerOf(state, one).bundle]));
  for (const [trustDomain, { bundle }] of state.federated) if (!own.has(trustDomain)) bundles.set(trustDomain, bundle);
  return bundles;
}

/** The bundles that the workload may use, keyed by ID. @throws FinialError `permission-denied` when revoked */
export function* allBundles(state: FakeState): Generator<readonly [string, Bundle]> {
  if (state.revoked) throw noIdentity();
  for (const [trustDomain, bundle] of bundlesOf(state)) yield [trustDomainId(trustDomain), bundle];
}

/** In FetchX509SVID the bundle of an identity's own trust domain stands beside it. */
function* foreignBundles(state: FakeState): Generator<readonly [string, Bundle]> {
  const own = new Set(state.svids.map(({ id }) => trustDomainOf(id)));
  for (const [trustDomain, bundle] of bundlesOf(state)) {
    if (!own.has(trustDomain)) yield [trustDomainId(trustDomain), bundle];
  }
}

function derOf({ x509Authorities }: Bundle): Buffer {
  return Buffer.concat(x509Authorities.map(({ certificate }) => certificate));
}

/** @throws FinialError `permission-denied` */
export function refuseWithoutIdentity({ svids, revoked }: FakeState): void {
  if (revoked || svids.length === 0) throw noIdentity();
}

/** Workload API 5.2.1, in the words of the reference. */
export function noIdentity(): FinialError {
  return new FinialError('permission-denied', 'no identity issued');
}
