import type { WITBundlesResponse } from '../../proto/gen/workload/WITBundlesResponse.ts';
import type { WITSVIDResponse } from '../../proto/gen/workload/WITSVIDResponse.ts';
import { witJwksOf } from '../../spiffe/bundle/json.ts';
import { parseSpiffeId, trustDomainOf } from '../../spiffe/id.ts';
import type { X509Svid } from '../source.ts';
import type { IssuedWitSvid } from './authority.ts';
import { allBundles, type FakeState, issuerOf, noIdentity, refuseWithoutIdentity } from './state.ts';

/** Each X509-SVID of the workload has a WIT-SVID beside it, renewed with it. */
const issued = new WeakMap<X509Svid, Promise<IssuedWitSvid>>();

/**
 * FetchWITSVID (SPIFFE Workload API 7.2.1).
 *
 * @throws FinialError `permission-denied` for an identity that the workload has not, `invalid-argument` for no ID at all
 */
export async function witSvidResponse(
  state: FakeState,
  wanted: { readonly spiffe_id: string },
): Promise<WITSVIDResponse> {
  const id = wanted.spiffe_id === '' ? undefined : parseSpiffeId(wanted.spiffe_id);
  refuseWithoutIdentity(state);
  const svids = state.svids.filter((one) => id === undefined || one.id === id);
  if (svids.length === 0) throw noIdentity();
  const witSvid = async (svid: X509Svid) => {
    const { token, key } = await witSvidOf(state, svid);
    return { spiffe_id: svid.id, wit_svid: token, wit_svid_key: key, hint: svid.hint };
  };
  return { svids: await Promise.all(svids.map(witSvid)) };
}

function witSvidOf(state: FakeState, svid: X509Svid): Promise<IssuedWitSvid> {
  const known = issued.get(svid);
  if (known !== undefined) return known;
  const made = issuerOf(state, trustDomainOf(svid.id)).issueWit(svid.id);
  issued.set(svid, made);
  return made;
}

/** FetchWITBundles (7.2.2). @throws FinialError `permission-denied` when everything was revoked */
export function witBundlesResponse(state: FakeState): WITBundlesResponse {
  return { bundles: Object.fromEntries(Array.from(allBundles(state), ([key, bundle]) => [key, witJwksOf(bundle)])) };
}
