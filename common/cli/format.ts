import { formatDuration } from '../config/duration.ts';
import { formatOffset, fractionOf, wallTime, type Zone } from '../time.ts';

/** A duration in milliseconds as Go prints it: `1m42s`. */
export const goDuration: (ms: number) => string = formatDuration;

/** A time as Go prints it by default: `2006-01-02 15:04:05 +0000 UTC`. */
export function goTime(date: Date, zone: Zone): string {
  const { day, time, offset } = wallTime(date, zone);
  return `${day} ${time}${fractionOf(date)} ${formatOffset(offset, '')} ${zoneName(date, zone, offset)}`;
}

/** The abbreviation of the zone at that time; where the machine has none, the offset, as the zone database itself does. */
function zoneName(date: Date, zone: Zone, offset: number): string {
  if (zone === 'UTC') return 'UTC';
  for (const locale of ['en-US', 'en-GB', 'en-AU', 'en-IN']) {
    const parts = new Intl.DateTimeFormat(locale, { timeZoneName: 'short' }).formatToParts(date);
    const name = parts.find(({ type }) => type === 'timeZoneName')?.value;
    if (name !== undefined && /^[A-Z]{3,5}$/.test(name)) return name;
  }
  return formatOffset(offset, '').replace(/00$/, '');
}

/** `1 entry`, `2 entries`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
