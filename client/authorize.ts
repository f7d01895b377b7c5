import { FinialError, messageOf } from '../common/errors.ts';
import { parseSpiffeId, pathOf, type SpiffeId, trustDomainOf } from '../spiffe/id.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe/trust-domain.ts';

/**
 * Decides whether a peer, whose identity was verified, may be talked to. Returns nothing for yes. Synchronous, as Node
 * asks in the middle of a TLS handshake and waits for no promise; what takes longer belongs to the application, which
 * knows the peer then.
 *
 * The type is `undefined` and not `void`, so that the compiler refuses asynchronous functions and those that return
 * false for no: whoever ignores what they return would admit everybody. `authorizeIf` takes the latter.
 *
 * @throws for no
 */
export interface Authorize {
  (id: SpiffeId): undefined;
  /** The only trust domains that it accepts anybody of, if it knows them; nobody else's roots are then offered to TLS. */
  readonly trustDomains?: readonly TrustDomain[];
}

/**
 * Asks an authorizer, and takes only a plain yes for one: what JavaScript callers return from it is looked at as well.
 *
 * @throws FinialError `permission-denied`, or what the authorizer threw if that is one
 */
export function requireAuthorized(authorize: Authorize, id: SpiffeId): void {
  let answer: unknown;
  try {
    answer = authorize(id);
  } catch (cause) {
    if (cause instanceof FinialError) throw cause;
    throw new FinialError('permission-denied', `peer ${id} is not authorized: ${messageOf(cause)}`, { cause });
  }
  if (answer === undefined) return;
  // A promise may yet reject, with nobody there to hear of it; it decides nothing here.
  if (answer instanceof Promise) answer.catch(() => undefined);
  throw new FinialError('permission-denied', `peer ${id} is not authorized: the authorizer returned a value`);
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
 * @param path beginning with `/`; to admit a whole trust domain there is `authorizeTrustDomain`
 * @throws FinialError `invalid-argument` for a path that does not begin so; SpiffeError when the two make no SPIFFE ID
 */
export function authorizePath(trustDomain: string, path: string): Authorize {
  if (!path.startsWith('/')) throw new FinialError('invalid-argument', 'the path to authorize must begin with /');
  const own = parseTrustDomain(trustDomain);
  const prefix = pathOf(parseSpiffeId(`spiffe://${own}${path}`));
  return within([own], (id) => pathOf(id) === prefix || pathOf(id).startsWith(`${prefix}/`));
}

/** Whomever a function says `true` to. Anything else, a promise above all, and an error that it throws are a no. */
export function authorizeIf(accepts: (id: SpiffeId) => boolean): Authorize {
  return (id) => {
    const answer: unknown = accepts(id);
    if (answer !== true) throw refusal(id);
  };
}

/** Whomever all of these accept; with none of them, nobody. */
export function authorizeAllOf(...authorizers: readonly Authorize[]): Authorize {
  const accepts: Authorize = (id) => {
    if (authorizers.length === 0) throw refusal(id);
    for (const authorize of authorizers) requireAuthorized(authorize, id);
  };
  const domains = authorizers.flatMap(({ trustDomains }) => (trustDomains === undefined ? [] : [trustDomains]));
  const [first, ...others] = domains;
  if (first === undefined) return accepts;
  return Object.assign(accepts, { trustDomains: first.filter((one) => others.every((list) => list.includes(one))) });
}

/** Whomever at least one of these accepts. */
export function authorizeOneOf(...authorizers: readonly Authorize[]): Authorize {
  const accepts: Authorize = (id) => {
    const refused = authorizers.every((authorize) => {
      try {
        requireAuthorized(authorize, id);
        return false;
      } catch {
        return true;
      }
    });
    if (refused) throw refusal(id);
  };
  const domains = authorizers.map((one) => one.trustDomains);
  if (domains.some((one) => one === undefined)) return accepts;
  return Object.assign(accepts, { trustDomains: [...new Set(domains.flatMap((one) => one ?? []))] });
}

function within(trustDomains: readonly TrustDomain[], accepts: (id: SpiffeId) => boolean): Authorize {
  const authorize: Authorize = (id) => {
    if (!trustDomains.includes(trustDomainOf(id)) || !accepts(id)) throw refusal(id);
  };
  return Object.assign(authorize, { trustDomains: Object.freeze([...new Set(trustDomains)]) });
}

function refusal(id: SpiffeId): FinialError {
  return new FinialError('permission-denied', `peer ${id} is not authorized`);
}
