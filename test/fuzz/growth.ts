import { Broken, type Growth, type Target } from './target.ts';

/**
 * How much longer four times the input may take. Linear work takes 4 times as long, quadratic work 16 times; between
 * them there is room for noise, and for caches that are too small for the larger input.
 */
const MAX_RATIO = 9;
/** Milliseconds below which a time says nothing, as one collection of garbage may take as long. */
const MEASURABLE = 30;
const ATTEMPTS = 12;

/**
 * Sees that the time of reading grows no faster than the input does. The least of several times counts, as whatever
 * else the machine does can only add to it, and a single good attempt is enough.
 *
 * @throws Broken
 */
export async function checkGrowth(target: Target, growth: Growth, clock: () => number): Promise<void> {
  const small = growth.of(growth.from);
  const large = growth.of(growth.from * 4);
  const least = { small: Infinity, large: Infinity };
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    least.small = Math.min(least.small, await timeOf(target, small, clock));
    least.large = Math.min(least.large, await timeOf(target, large, clock));
    if (least.large < MEASURABLE || least.large / least.small <= MAX_RATIO) return;
  }
  const times = `${least.small.toFixed(1)} ms for ${growth.from}, ${least.large.toFixed(1)} ms for four times that`;
  throw new Broken(`time grows too fast with ${growth.what}: ${times}`);
}

async function timeOf(target: Target, input: Buffer, clock: () => number): Promise<number> {
  const start = clock();
  await target.execute(input, false);
  return clock() - start;
}
