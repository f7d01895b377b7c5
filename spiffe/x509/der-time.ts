import { SpiffeError } from '../error.ts';

const UTC_TIME = /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;

/**
 * The content of a UTCTime in the only form that RFC 5280 4.1.2.5.1 allows: seconds present, Zulu.
 *
 * @returns Unix milliseconds
 * @throws SpiffeError `invalid-der`
 */
export function readUtcTime(text: string, what: string): number {
  const match = UTC_TIME.exec(text);
  if (match === null) throw malformed(what);
  const [year = 0, ...rest] = match.slice(1).map(Number);
  // RFC 5280 4.1.2.5.1: two digits below 50 belong to this century.
  return instant([year < 50 ? 2000 + year : 1900 + year, ...rest], what);
}

/**
 * The content of a GeneralizedTime in the only form that RFC 5280 4.1.2.5.2 allows: seconds present, no fraction, Zulu.
 *
 * @returns Unix milliseconds
 * @throws SpiffeError `invalid-der`
 */
export function readGeneralizedTime(text: string, what: string): number {
  const match = GENERALIZED_TIME.exec(text);
  if (match === null) throw malformed(what);
  return instant(match.slice(1).map(Number), what);
}

function instant(parts: readonly number[], what: string): number {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  const date = new Date(0);
  // Not Date.UTC, which reads the years 0 to 99 as 1900 to 1999.
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const same =
    date.getUTCFullYear() === year &&
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second;
  // A date that rolled over, such as 31 February, was not a date.
  if (!same) throw malformed(what);
  return date.getTime();
}

/**
 * The text of a time and whether it is a UTCTime: through the year 2049 it is, from 2050 on a GeneralizedTime
 * (RFC 5280 4.1.2.5). Fractions of a second are cut off.
 *
 * @param time Unix milliseconds
 * @throws RangeError outside the years 1950 to 9999
 */
export function formatTime(time: number): { readonly utc: boolean; readonly text: string } {
  const date = new Date(time);
  const year = date.getUTCFullYear();
  if (!(year >= 1950 && year <= 9999)) throw new RangeError(`no X.509 time for ${time}`);
  const digits = `${date.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
  return year < 2050 ? { utc: true, text: digits.slice(2) } : { utc: false, text: digits };
}

function malformed(what: string): SpiffeError {
  return new SpiffeError('invalid-der', `${what} is not a time in the form that RFC 5280 allows`);
}
