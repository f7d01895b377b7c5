import type { Clock } from '../../common/clock.ts';
import { FinialError } from '../../common/errors.ts';
import { linkSignals } from '../../common/linked-signal.ts';

/**
 * Runs `work` under a signal that aborts after `timeoutMs` of the clock, or with the caller's.
 *
 * @throws FinialError `deadline-exceeded` or `cancelled` when that signal aborted, else what `work` throws
 */
export async function withDeadline<T>(
  work: (signal: AbortSignal) => Promise<T>,
  limits: { readonly timeoutMs: number; readonly clock: Clock; readonly signal: AbortSignal | undefined },
): Promise<T> {
  const { timeoutMs, clock } = limits;
  const late = new AbortController();
  const over = new AbortController();
  const linked = linkSignals(limits.signal, late.signal);
  const expire = (): void => late.abort(new FinialError('deadline-exceeded', `no bundle within ${timeoutMs / 1000} s`));
  clock.sleep(timeoutMs, over.signal).then(expire, () => undefined);
  try {
    return await work(linked.signal);
  } catch (error) {
    // Whatever broke when it was given up, that is why.
    throw linked.signal.aborted ? cancelled(linked.signal) : error;
  } finally {
    over.abort();
    linked.unlink();
  }
}

/** Why work under an aborted signal was given up: the deadline's own error, or that the caller wished it. */
export function cancelled({ reason }: AbortSignal): FinialError {
  const why: unknown = reason;
  if (why instanceof FinialError && why.code === 'deadline-exceeded') return why;
  return new FinialError('cancelled', 'fetching the bundle was given up', { cause: why });
}
