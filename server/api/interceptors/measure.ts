import type { Clock } from '../../../common/clock.ts';
import type { ErrorCode } from '../../../common/errors.ts';
import type { Interceptor } from '../../../common/rpc/call.ts';

/** Where counts and durations of calls go. */
export interface CallMetrics {
  /**
   * @param method full name
   * @param failure undefined when the call went well
   * @param ms from the first interceptor to the end of the call
   */
  called(method: string, failure: ErrorCode | undefined, ms: number): void;
}

/** Reports each call when it has ended. */
export function measureCalls(metrics: CallMetrics, clock: Pick<Clock, 'steady'>): Interceptor {
  return async (call) => {
    const begun = clock.steady();
    return ({ error }) => metrics.called(call.method, error?.code, clock.steady() - begun);
  };
}
