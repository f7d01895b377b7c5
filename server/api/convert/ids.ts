import { FinialError } from '../../../common/errors.ts';
import type { SPIFFEID, SPIFFEID__Output } from '../../../proto/gen/spire/api/types/SPIFFEID.ts';
import { pathOf, spiffeId, type SpiffeId, trustDomainOf } from '../../../spiffe/id.ts';
import { parseTrustDomain, type TrustDomain } from '../../../spiffe/trust-domain.ts';
import { requireAgent, requireMember, requireWorkload } from '../../entries/id-rules.ts';

/** An ID as trust domain and path. */
export function idToProto(id: SpiffeId): SPIFFEID {
  return { trust_domain: trustDomainOf(id), path: pathOf(id) };
}

/** @throws FinialError or SpiffeError saying what is wrong */
export function idFromProto(message: SPIFFEID__Output | null | undefined): SpiffeId {
  if (message === null || message === undefined) {
    throw new FinialError('invalid-argument', 'request must specify SPIFFE ID');
  }
  return spiffeId(parseTrustDomain(message.trust_domain), message.path);
}

/** An ID with a path in the trust domain: a workload, an agent or the server. */
export function memberIdFromProto(message: SPIFFEID__Output | null | undefined, trustDomain: TrustDomain): SpiffeId {
  const id = idFromProto(message);
  requireMember(id, trustDomain);
  return id;
}

/** The ID of an agent of this trust domain. @throws FinialError or SpiffeError when it is none */
export function agentIdFromProto(message: SPIFFEID__Output | null | undefined, trustDomain: TrustDomain): SpiffeId {
  const id = idFromProto(message);
  requireAgent(id, trustDomain);
  return id;
}

/** The ID of a workload of this trust domain. @throws FinialError or SpiffeError when it is none */
export function workloadIdFromProto(message: SPIFFEID__Output | null | undefined, trustDomain: TrustDomain): SpiffeId {
  const id = idFromProto(message);
  requireWorkload(id, trustDomain);
  return id;
}
