import type { Clock } from '../../../common/clock.ts';
import type { Logger } from '../../../common/log/logger.ts';
import type { Peer } from '../../../common/rpc/call.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import type { JwtSvidCache, WorkloadCache } from '../../cache/contract.ts';

export interface WorkloadApiConfig {
  /** Whether callers without an identity may have the bundle of the agent's own trust domain. */
  readonly allowUnauthenticatedVerifiers: boolean;
  /** Claims of tokens of other trust domains to pass on, besides `sub`, `exp` and `aud`. */
  readonly allowedForeignJwtClaims: readonly string[];
}

/** What the Workload API is made of. */
export interface WorkloadApiDependencies {
  /** The facts about the caller. @throws FinialError `unavailable` when nothing can be told */
  attest(peer: Peer, signal: AbortSignal): Promise<readonly Selector[]>;
  readonly cache: WorkloadCache;
  readonly jwtSvids: JwtSvidCache;
  readonly config: WorkloadApiConfig;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Logger;
  /** Whether the operator lets this selector appear in the log (`log_selectors`). */
  isLoggable(selector: Selector): boolean;
}
