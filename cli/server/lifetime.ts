import { type Clock, unixSeconds } from '../../common/clock.ts';
import { int32FromFlag } from './request.ts';

/** Whole seconds of a duration flag, rounded up, as lifetimes travel. @param ms milliseconds */
export function secondsFromFlag(ms: number): number {
  return int32FromFlag(Math.ceil(ms / 1000), 'TTL');
}

/**
 * Says that an SVID ends sooner than was asked for, or nothing. A minute is allowed for what minting took.
 *
 * @param expiresAt Unix seconds
 * @param ttl seconds asked for; 0 asked for nothing
 */
export function cappedWarning(kind: string, expiresAt: number, ttl: number, clock: Clock): string {
  if (ttl === 0 || expiresAt - unixSeconds(clock) >= ttl - 60) return '';
  const end = new Date(expiresAt * 1000).toISOString().replace('.000Z', 'Z');
  return `${kind} lifetime was capped shorter than specified ttl; expires "${end}"\n`;
}
