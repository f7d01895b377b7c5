import { SpiffeError } from '../error.ts';

/** Remembers proofs until they end. Recipients that share a name should share one, or a proof works once at each. */
export interface ReplayCache {
  /**
   * @param proof what tells it from all others
   * @param expiresAt Unix seconds; it may be forgotten from then on
   * @param now Unix seconds
   * @returns whether it was not there yet
   */
  add(proof: string, expiresAt: number, now: number): boolean | Promise<boolean>;
}

/** A replay cache that answers at once. */
export interface MemoryReplayCache extends ReplayCache {
  /** @throws SpiffeError `untrusted-wit-svid` when too many proofs are alive */
  add(proof: string, expiresAt: number, now: number): boolean;
}

const DEFAULT_MAX_ENTRIES = 100_000;
/** Expired entries are looked for when there are this many more than there were after the last look. */
const SWEEP_AFTER = 1000;

/**
 * A replay cache in memory, for one process.
 *
 * @param maxEntries how many proofs may be alive at once. Past that every new one is refused: forgetting one that still
 * works would let it work twice.
 */
export function memoryReplayCache({
  maxEntries = DEFAULT_MAX_ENTRIES,
}: {
  maxEntries?: number;
} = {}): MemoryReplayCache {
  const ends = new Map<string, number>();
  let sweepAt = SWEEP_AFTER;
  return {
    add(proof, expiresAt, now) {
      const end = ends.get(proof);
      if (end !== undefined && now < end) return false;
      if (ends.size >= Math.min(sweepAt, maxEntries)) {
        for (const [one, over] of ends) if (over <= now) ends.delete(one);
        sweepAt = ends.size + SWEEP_AFTER;
      }
      if (ends.size >= maxEntries) throw new SpiffeError('untrusted-wit-svid', 'too many proofs are in use at once');
      ends.set(proof, expiresAt);
      return true;
    },
  };
}
