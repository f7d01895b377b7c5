import type { SpiffeId } from '../id.ts';
import type { Selector } from '../selector.ts';
import type { TrustDomain } from '../trust-domain.ts';

/** Rare switches of an entry; absent as a whole unless one was set. */
export interface AdditionalAttributes {
  /** The agent signs this X509-SVID only when a workload asks for it. */
  readonly disableX509SvidPrefetch: boolean;
  /** JWT-SVIDs of this entry carry a `jti` claim. */
  readonly jwtSvidIncludeJti: boolean;
}

/**
 * A registration entry: workloads that show all of `selectors` to an agent that is, or descends to, `parentId` get the
 * identity `spiffeId`. All times are Unix seconds, all lifetimes are seconds; 0 means "default" or "never".
 */
export interface Entry {
  readonly id: string;
  readonly spiffeId: SpiffeId;
  readonly parentId: SpiffeId;
  readonly selectors: readonly Selector[];
  readonly x509SvidTtl: number;
  readonly jwtSvidTtl: number;
  readonly federatesWith: readonly TrustDomain[];
  readonly admin: boolean;
  readonly downstream: boolean;
  readonly expiresAt: number;
  readonly dnsNames: readonly string[];
  /** 0 on creation, one more on every update. With `createdAt` it tells an agent whether its copy is current. */
  readonly revisionNumber: number;
  readonly storeSvid: boolean;
  readonly hint: string;
  readonly createdAt: number;
  readonly additionalAttributes?: AdditionalAttributes;
}
