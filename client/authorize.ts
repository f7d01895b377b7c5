import { FinialError } from '../common/errors.ts';
import { parseSpiffeId, pathOf, type SpiffeId, trustDomainOf } from '../spiffe/id.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe/trust-domain.ts';

/**
 * Decides whether a peer, whose identity was verified, may be talked to. Returns for yes. Synchronous, as it is asked in
 * the middle of a TLS handshake; what takes longer belongs to the application, which knows the peer then.
 *
 * @throws for no
 */
export interface Authorize {
  (id: SpiffeId): void;
  /** The only trust domains that it accepts anybody of, if it knows them; nobody else's roots are then offered to TLS. */
  readonly trustDomains?: readonly TrustDomain[];
}

/** Any identity of any trust domain that we hold a bundle of. */
export const authorizeAny: Authorize = () => undefined;

/** Exactly these identities. @throws SpiffeError `invalid-id` for one that is not a SPIFFE ID */
export function authorizeId(...ids: readonly string[]): Authorize {
  const accepted = new Set(ids.map((id) => parseSpiffeId(id)));
  return within(Array.from(accepted, trustDomainOf), (id) => accepted.has(id));
}

/** Any identity of these trust domains. @throws SpiffeError `invalid-trust-domain` */
export function authorizeTrustDomain(...trustDomains: readonly string[]): Authorize {
  return within(
    trustDomains.map((one) => parseTrustDomain(one)),
    () => true,
  );
}

/**
 * The identity with exactly this path, or every identity below it, within one trust domain: `/billing` admits
 * `/billing` and `/billing/worker` but not `/billing-test`.
 *
 * @param path beginning with `/`
 * @throws SpiffeError when the two do not make a SPIFFE ID
 */
export function authorizePath(trustDomain: string, path: string): Authorize {
  const own = parseTrustDomain(trustDomain);
  const prefix = pathOf(parseSpiffeId(`spiffe://${own}${path}`));
  return within([own], (id) => pathOf(id) === prefix || pathOf(id).startsWith(`${prefix}/`));
}

/** Whomever a function says yes to. An error that it throws is a no as well. */
export function authorizeIf(accepts: (id: SpiffeId) => boolean): Authorize {
  return (id) => {
    if (!accepts(id)) throw refusal(id);
  };
}

/** Whomever at least one of these accepts. */
export function authorizeOneOf(...authorizers: readonly Authorize[]): Authorize {
  const accepts: Authorize = (id) => {
    const refused = authorizers.every((authorize) => {
      try {
        authorize(id);
        return false;
      } catch {
        return true;
      }
    });
    if (refused) throw refusal(id);
  };
  const domains = authorizers.map((one) => one.trustDomains);
  if (domains.some((one) => one === undefined)) return accepts;
  return Object.assign(accepts, { trustDomains: domains.flatMap((one) => one ?? []) });
}

function within(trustDomains: readonly TrustDomain[], accepts: (id: SpiffeId) => boolean): Authorize {
  const authorize = (id: SpiffeId): void => {
    if (!trustDomains.includes(trustDomainOf(id)) || !accepts(id)) throw refusal(id);
  };
  return Object.assign(authorize, { trustDomains: Object.freeze([...new Set(trustDomains)]) });
}

function refusal(id: SpiffeId): FinialError {
  return new FinialError('permission-denied', `peer ${id} is not authorized`);
}
