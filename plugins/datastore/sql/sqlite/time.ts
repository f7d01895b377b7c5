import { sql } from 'kysely';
import type { ColumnValues } from '../database.ts';

/**
 * Times are text as the reference's driver writes them: `2026-11-23 03:16:05.996982779+00:00`, a fraction without
 * trailing zeros and none for whole seconds. We write UTC; a reference server writes the zone of its machine.
 */
export const sqliteValues: ColumnValues = {
  time(ms) {
    const iso = new Date(ms).toISOString();
    const fraction = iso.slice(19, 23).replace(/\.?0+$/, '');
    return `${iso.slice(0, 10)} ${iso.slice(11, 19)}${fraction}+00:00`;
  },
  millis(value) {
    return typeof value === 'string' ? parseTime(value) : undefined;
  },
  // Text of several zones does not compare, so the index of `expires_at` is of no use here.
  isBefore: (column, ms) => sql`julianday(${column}) < julianday(${ms / 1000}, 'unixepoch')`,
  unindexed: (column) => sql`+${column}`,
};

const TIME = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*(?:Z|([+-])(\d\d):?(\d\d))?$/;

/** @returns milliseconds since the epoch, or undefined when the text is no time */
function parseTime(text: string): number | undefined {
  const match = TIME.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second = '0', fraction = '', sign, zoneHours = '0', zoneMinutes = '0'] =
    match;
  const utc = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  const zone = (Number(zoneHours) * 60 + Number(zoneMinutes)) * (sign === '-' ? -60_000 : 60_000);
  return utc + Number(fraction.padEnd(3, '0').slice(0, 3)) - zone;
}
