import type { Entry } from '../../../spiffe/registration/entry.ts';
import type { SpiffeId } from '../../../spiffe/id.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import type { Issuer } from '../../issuance/issue.ts';

/** What minting and issuing X509-SVIDs need. */
export interface X509Deps {
  readonly trustDomain: TrustDomain;
  readonly issuer: Pick<Issuer, 'workloadX509Svid'>;
}

/** What minting and issuing JWT-SVIDs need. */
export interface JwtDeps {
  readonly trustDomain: TrustDomain;
  readonly issuer: Pick<Issuer, 'jwtSvid'>;
  readonly jwtDisabled: boolean;
}

/** Whether an agent may have an entry; the server's word, never the agent's. */
export interface LookupDeps {
  readonly index: {
    lookup(agentId: SpiffeId, ids: ReadonlySet<string>): ReadonlyMap<string, Entry>;
  };
}
