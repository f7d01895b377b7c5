/** Times are printed in UTC or in the zone of the machine (the variable TZ). */
export type Zone = 'UTC' | 'Local';

const pad = (value: number, width = 2): string => String(value).padStart(width, '0');

/** The fields of a clock on the wall of the zone, and how far it is ahead of UTC. */
export interface WallTime {
  /** `2006-01-02` */
  readonly day: string;
  /** `15:04:05` */
  readonly time: string;
  /** Minutes ahead of UTC. */
  readonly offset: number;
}

/** A moment as a clock on the wall of the zone shows it. */
export function wallTime(date: Date, zone: Zone): WallTime {
  const offset = zone === 'UTC' ? 0 : -date.getTimezoneOffset();
  const moved = new Date(date.getTime() + offset * 60_000);
  const day = `${pad(moved.getUTCFullYear(), 4)}-${pad(moved.getUTCMonth() + 1)}-${pad(moved.getUTCDate())}`;
  return {
    day,
    time: `${pad(moved.getUTCHours())}:${pad(moved.getUTCMinutes())}:${pad(moved.getUTCSeconds())}`,
    offset,
  };
}

/** `+0100` or, with a separator, `+01:00`. */
export function formatOffset(minutes: number, separator: string): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${pad(Math.floor(size / 60))}${separator}${pad(size % 60)}`;
}

/**
 * RFC 3339: `2006-01-02T15:04:05Z` or with `+01:00` in place of `Z`.
 *
 * @param fraction prints what there is below the second, without zeros at the end, as Go's RFC3339Nano does
 */
export function rfc3339(date: Date, zone: Zone, options: { readonly fraction?: boolean } = {}): string {
  const { day, time, offset } = wallTime(date, zone);
  const suffix = offset === 0 ? 'Z' : formatOffset(offset, ':');
  return `${day}T${time}${options.fraction === true ? fractionOf(date) : ''}${suffix}`;
}

/** `.123` or nothing; a Date knows milliseconds. */
export function fractionOf(date: Date): string {
  const ms = ((date.getTime() % 1000) + 1000) % 1000;
  return ms === 0 ? '' : `.${pad(Math.floor(ms), 3)}`.replace(/0+$/, '');
}
