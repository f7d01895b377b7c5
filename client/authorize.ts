import { FinialError } from '../common/errors.ts';
import { type SpiffeId, trustDomainOf } from '../spiffe/id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';

/** Decides whether a peer, whose identity was verified, may be talked to. Returns for yes. @throws for no */
export type Authorize = (id: SpiffeId) => void;

/** Any identity of any trust domain that we hold a bundle of. */
export const authorizeAny: Authorize = () => undefined;

/** Exactly these identities. */
export function authorizeId(...ids: readonly SpiffeId[]): Authorize {
  return (id) => {
    if (!ids.includes(id)) throw refusal(id);
  };
}

/** Any identity of one trust domain. */
export function authorizeTrustDomain(trustDomain: TrustDomain): Authorize {
  return (id) => {
    if (trustDomainOf(id) !== trustDomain) throw refusal(id);
  };
}

function refusal(id: SpiffeId): FinialError {
  return new FinialError('permission-denied', `peer ${id} is not authorized`);
}
