import { FinialError } from '../../common/errors.ts';
import { isMemberOf, pathOf, type SpiffeId } from '../../spiffe/id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

/** Where agents live: every agent's path begins with this. */
const AGENT_NAMESPACE = '/spire/agent/';

/** @throws FinialError `invalid-argument` unless `id` names something in the trust domain */
export function requireMember(id: SpiffeId, trustDomain: TrustDomain): void {
  requireInside(id, trustDomain);
  if (pathOf(id) === '') throw refused(`"${id}" is not a member of trust domain "${trustDomain}"; path is empty`);
}

/** @throws FinialError `invalid-argument` unless `id` is in the agents' namespace of the trust domain */
export function requireAgent(id: SpiffeId, trustDomain: TrustDomain): void {
  requireInside(id, trustDomain);
  const what = `"${id}" is not an agent in trust domain "${trustDomain}"`;
  if (pathOf(id) === '') throw refused(`${what}; path is empty`);
  if (!pathOf(id).startsWith(AGENT_NAMESPACE)) throw refused(`${what}; path is not in the agent namespace`);
}

/** @throws FinialError `invalid-argument` unless `id` may be given to a workload: in the trust domain, not reserved */
export function requireWorkload(id: SpiffeId, trustDomain: TrustDomain): void {
  requireInside(id, trustDomain);
  const what = `"${id}" is not a workload in trust domain "${trustDomain}"`;
  const path = pathOf(id);
  if (path === '') throw refused(`${what}; path is empty`);
  if (path === '/spire' || path.startsWith('/spire/')) {
    throw refused(`${what}; path is in the reserved namespace`);
  }
}

function requireInside(id: SpiffeId, trustDomain: TrustDomain): void {
  if (!isMemberOf(id, trustDomain)) throw refused(`"${id}" is not a member of trust domain "${trustDomain}"`);
}

function refused(why: string): FinialError {
  return new FinialError('invalid-argument', why);
}
