import type { ErrorCode } from '../../common/errors.ts';
import { FinialError } from '../../common/errors.ts';

/** The calls of the Workload API. */
export const WORKLOAD_METHODS = [
  'FetchX509SVID',
  'FetchX509Bundles',
  'FetchJWTSVID',
  'FetchJWTBundles',
  'ValidateJWTSVID',
  'FetchWITSVID',
  'FetchWITBundles',
] as const;

/** One of them. */
export type WorkloadMethod = (typeof WORKLOAD_METHODS)[number];

/** Which calls fail, and how. */
export interface FailureOptions {
  /** So many calls from now on, one when absent; `Infinity` for all until `recover`. */
  readonly times?: number;
  /** All methods when absent. */
  readonly methods?: readonly WorkloadMethod[];
  /** What the status says; `scripted failure` when absent. */
  readonly message?: string;
}

/** What the fake was told to do beside answering truly. */
export interface Script {
  fail(code: ErrorCode, options: FailureOptions): void;
  silence(methods: readonly WorkloadMethod[]): void;
  /** The answer of the next call of a method. */
  answerRaw(method: WorkloadMethod, bytes: Buffer): void;
  /** Forgets all of it. */
  clear(): void;
  /** @throws FinialError when this call is one that must fail */
  begin(method: WorkloadMethod): void;
  isSilent(method: WorkloadMethod): boolean;
  /** Resolves when the method is not silent (any more). @throws the signal's reason */
  untilHeard(method: WorkloadMethod, signal: AbortSignal): Promise<void>;
  /** What `answerRaw` gave and nobody has taken. */
  takeRaw(method: WorkloadMethod): Buffer | undefined;
}

interface Failure {
  readonly error: FinialError;
  readonly methods: readonly WorkloadMethod[];
  left: number;
}

/** Nothing told yet. */
export function script(): Script {
  const failures: Failure[] = [];
  const silent = new Set<WorkloadMethod>();
  const raw: { readonly method: WorkloadMethod; readonly bytes: Buffer }[] = [];
  const waiting = new Set<() => void>();
  return {
    fail(code, { times = 1, methods = WORKLOAD_METHODS, message = 'scripted failure' }) {
      failures.push({ error: new FinialError(code, message), methods, left: times });
    },
    silence(methods) {
      for (const method of methods) silent.add(method);
    },
    answerRaw: (method, bytes) => void raw.push({ method, bytes }),
    clear() {
      failures.length = 0;
      raw.length = 0;
      silent.clear();
      for (const wake of waiting) wake();
      waiting.clear();
    },
    begin(method) {
      const failure = failures.find(({ left, methods }) => left > 0 && methods.includes(method));
      if (failure === undefined) return;
      failure.left -= 1;
      throw failure.error;
    },
    isSilent: (method) => silent.has(method),
    async untilHeard(method, signal) {
      while (silent.has(method)) {
        await new Promise<void>((resolve, reject) => {
          waiting.add(resolve);
          signal.addEventListener('abort', () => reject(reasonOf(signal)), { once: true });
        });
      }
    },
    takeRaw(method) {
      const index = raw.findIndex((one) => one.method === method);
      return index < 0 ? undefined : raw.splice(index, 1)[0]?.bytes;
    },
  };
}

function reasonOf(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new FinialError('cancelled', 'cancelled');
}
