import { FinialError } from '../../../common/errors.ts';
import type { Logger } from '../../../common/log/logger.ts';
import type { Call, Interceptor, Peer } from '../../../common/rpc/call.ts';
import { loadService } from '../../../common/rpc/service.ts';
import type { SpiffeWorkloadAPIDefinition } from '../../../proto/gen/workload/SpiffeWorkloadAPI.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import type { JwtSvidCache, WorkloadCache } from '../../cache/contract.ts';

/** What the Workload API needs of the rest of the agent. */
export interface WorkloadApiDependencies {
  readonly trustDomain: TrustDomain;
  /** Who is calling, by the kernel. @throws FinialError `unavailable` */
  attest(peer: Peer, signal: AbortSignal): Promise<readonly Selector[]>;
  readonly cache: WorkloadCache;
  readonly jwtSvids: JwtSvidCache;
  readonly allowUnauthenticatedVerifiers: boolean;
  /** Claims of foreign tokens that are passed on beside sub, exp and aud. */
  readonly allowedForeignJwtClaims: readonly string[];
  /** Prefixes of selectors that may be logged. */
  readonly logSelectors: readonly string[];
  /** Unix milliseconds. */
  now(): number;
  readonly log: Logger;
}

export const workloadService = loadService<SpiffeWorkloadAPIDefinition>('workload.proto', 'SpiffeWorkloadAPI');

const HEADER = 'workload.spiffe.io';

/**
 * Refuses calls without the header that a program can only set on purpose, so that nobody is tricked into making them
 * (SPIFFE Workload Endpoint 5). Other services on the socket do not have it.
 */
export const securityHeader: Interceptor = async (call) => {
  if (!call.method.startsWith('/SpiffeWorkloadAPI/')) return undefined;
  const values = call.metadata.get(HEADER) ?? [];
  if (values.length === 1 && values[0] === 'true') return undefined;
  throw new FinialError('invalid-argument', 'security header missing from request');
};

/** The name of the method alone, for logs. */
export function methodName(call: Pick<Call, 'method'>): string {
  return call.method.slice(call.method.lastIndexOf('/') + 1);
}
