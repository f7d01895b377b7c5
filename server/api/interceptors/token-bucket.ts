/**
 * A token bucket: `perSecond` tokens flow in each second, up to as many. Who takes more than there are goes into debt and
 * is told how long to wait until the debt is paid; so those who wait are served in order.
 */
export class TokenBucket {
  readonly perSecond: number;
  #tokens: number;
  #at: number;

  /** @param now milliseconds of a steady clock, as in all calls */
  constructor(perSecond: number, now: number) {
    this.perSecond = perSecond;
    this.#tokens = perSecond;
    this.#at = now;
  }

  /** The most that can ever be taken at once. */
  get burst(): number {
    return this.perSecond;
  }

  /** @returns milliseconds to wait before the tokens may be used; 0 when they are there */
  take(count: number, now: number): number {
    this.#flow(now);
    this.#tokens -= count;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.perSecond) * 1000;
  }

  /** Gives back what was taken but not used. */
  giveBack(count: number, now: number): void {
    this.#flow(now);
    this.#tokens = Math.min(this.burst, this.#tokens + count);
  }

  #flow(now: number): void {
    this.#tokens = Math.min(this.burst, this.#tokens + ((now - this.#at) / 1000) * this.perSecond);
    this.#at = now;
  }
}

const GENERATION_MS = 60_000;

/** One bucket per client address. An address that was not seen for a minute or two is forgotten. */
export class Buckets {
  readonly #perSecond: number;
  #current = new Map<string, TokenBucket>();
  #previous = new Map<string, TokenBucket>();
  #since: number;

  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#since = now;
  }

  of(address: string, now: number): TokenBucket {
    if (now - this.#since >= GENERATION_MS) {
      this.#previous = this.#current;
      this.#current = new Map();
      this.#since = now;
    }
    const known = this.#current.get(address) ?? this.#previous.get(address);
    const bucket = known ?? new TokenBucket(this.#perSecond, now);
    this.#current.set(address, bucket);
    return bucket;
  }
}
