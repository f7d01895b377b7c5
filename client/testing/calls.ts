import { type ErrorCode, FinialError } from '../../common/errors.ts';
import type { Interceptor } from '../../common/rpc/call.ts';

/** A call as it came in, whether or not it was answered. */
export interface FakeCall {
  /** Such as `FetchX509SVID`. */
  readonly method: string;
  /** Lower-case keys; text values only. */
  readonly metadata: ReadonlyMap<string, readonly string[]>;
  /** The decoded message. */
  readonly request: unknown;
  /** Unix ms of the fake's clock. */
  readonly at: number;
  /** How it ended: `ok`, or the code of the failure; undefined while it is open. */
  readonly outcome: 'ok' | ErrorCode | undefined;
}

/** What was called. */
export interface CallLog {
  readonly calls: readonly FakeCall[];
  /** Resolves when `method` was called `count` times since the fake was made. */
  waitFor(method: string, count: number): Promise<void>;
  readonly record: Interceptor;
}

/** @param now Unix ms */
export function callLog(now: () => number): CallLog {
  const calls: FakeCall[] = [];
  const waiting = new Set<{ readonly method: string; readonly count: number; readonly resolve: () => void }>();
  const count = (method: string): number => calls.filter((call) => call.method === method).length;
  return {
    calls,
    waitFor(method, wanted) {
      if (count(method) >= wanted) return Promise.resolve();
      return new Promise((resolve) => waiting.add({ method, count: wanted, resolve }));
    },
    async record({ method: path, metadata }, request) {
      const method = path.slice(path.lastIndexOf('/') + 1);
      const call: { -readonly [K in keyof FakeCall]: FakeCall[K] } = {
        ...{ method, metadata, request, at: now(), outcome: undefined },
      };
      calls.push(call);
      for (const one of waiting) {
        if (count(one.method) < one.count) continue;
        waiting.delete(one);
        one.resolve();
      }
      return ({ error }) => {
        call.outcome = error?.code ?? 'ok';
      };
    },
  };
}

/** SPIFFE Workload Endpoint 3: exactly one value, exactly `true`. @throws FinialError `invalid-argument` */
export const requireSecurityHeader: Interceptor = async ({ metadata }) => {
  const values = metadata.get('workload.spiffe.io') ?? [];
  if (values.length !== 1 || values[0] !== 'true') {
    throw new FinialError('invalid-argument', 'security header missing from request');
  }
  return undefined;
};
