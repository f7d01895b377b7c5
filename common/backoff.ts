/** How waits grow between retries. All times in milliseconds. */
export interface BackoffPolicy {
  readonly initial: number;
  readonly factor: number;
  readonly max: number;
  /** 0.1 means each wait is drawn from 90 % to 110 % of its nominal length. */
  readonly jitter: number;
}

/** The growth the reference uses for agent loops: x1.5, +-10 %. */
export function exponential(initial: number, max: number): BackoffPolicy {
  return { initial, factor: 1.5, max, jitter: 0.1 };
}

/**
 * The wait before attempt `attempt + 1`, after `attempt` failures in a row (0 for the first wait).
 *
 * @param random uniform in [0, 1)
 */
export function backoffDelay(policy: BackoffPolicy, attempt: number, random: () => number): number {
  const nominal = Math.min(policy.max, policy.initial * policy.factor ** attempt);
  return nominal * (1 + policy.jitter * (2 * random() - 1));
}
