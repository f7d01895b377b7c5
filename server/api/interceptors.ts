import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { Interceptor } from '../../common/rpc/call.ts';
import { auditCalls } from './interceptors/audit.ts';
import { authorize, type AuthorizeDeps } from './interceptors/authorize.ts';
import { identifyCaller } from './interceptors/caller.ts';
import { type CallMetrics, measureCalls } from './interceptors/measure.ts';
import { limitRate, type RateLimitDeps } from './interceptors/rate-limit.ts';
import { identifyRequest } from './interceptors/request.ts';

/** What the interceptors take together. */
export interface InterceptorDeps extends AuthorizeDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly newRequestId: () => string;
  /** Absent while nothing collects them. */
  readonly metrics?: CallMetrics;
  readonly rateLimit: RateLimitDeps['enabled'];
  readonly auditLog: boolean;
}

/** What every call passes before its handler, in this order. One set serves both listeners, as they share limits. */
export function apiInterceptors(deps: InterceptorDeps): readonly Interceptor[] {
  const { clock, log, metrics } = deps;
  return [
    identifyRequest(log, deps.newRequestId),
    ...(metrics === undefined ? [] : [measureCalls(metrics, clock)]),
    identifyCaller(),
    authorize(deps),
    limitRate({ clock, enabled: deps.rateLimit }),
    ...(deps.auditLog ? [auditCalls()] : []),
  ];
}
