const MICROSECOND = 1000n;
const MILLISECOND = 1_000_000n;
const SECOND = 1_000_000_000n;
const MINUTE = 60n * SECOND;
const HOUR = 60n * MINUTE;

/** Nanoseconds of each unit of Go's syntax; both spellings of micro (U+00B5 and U+03BC) are accepted. */
const UNITS: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', MICROSECOND],
  ['\u00b5s', MICROSECOND],
  ['\u03bcs', MICROSECOND],
  ['ms', MILLISECOND],
  ['s', SECOND],
  ['m', MINUTE],
  ['h', HOUR],
]);

/** Go keeps durations in 64 bits of nanoseconds; longer ones are errors there and here. */
const LONGEST = 2n ** 63n - 1n;
/** More digits than the longest duration has only cost time. */
const LONGEST_TEXT = 128;

const PART = /(\d*)(?:\.(\d*))?([^\d.]*)/y;

/**
 * Reads a duration of Go's syntax, such as `1h30m`, `-1.5s` or `0`.
 *
 * @returns milliseconds, with a fraction where the text asks for one
 * @throws RangeError in Go's words, to be put after the name of what was read
 */
export function parseDuration(text: string): number {
  const fail = (what: string): RangeError => new RangeError(`time: ${what}duration ${JSON.stringify(text)}`);
  const rest = /^[+-]/.test(text) ? text.slice(1) : text;
  if (rest === '0') return 0;
  if (rest === '' || rest.length > LONGEST_TEXT) throw fail('invalid ');
  let total = 0n;
  for (let at = 0; at < rest.length; at = PART.lastIndex) {
    PART.lastIndex = at;
    const [, whole = '', fraction = '', unit = ''] = PART.exec(rest) ?? [];
    if (whole === '' && fraction === '') throw fail('invalid ');
    if (unit === '') throw fail('missing unit in ');
    const nanos = UNITS.get(unit);
    if (nanos === undefined) throw fail(`unknown unit ${JSON.stringify(unit)} in `);
    total += BigInt(whole) * nanos + (BigInt(fraction) * nanos) / 10n ** BigInt(fraction.length);
  }
  if (total > LONGEST) throw fail('invalid ');
  const ms = Number(total / MILLISECOND) + Number(total % MILLISECOND) / 1e6;
  return text.startsWith('-') && ms !== 0 ? -ms : ms;
}

/**
 * Prints a duration as Go does: `1h0m0s`, `1.5s`, `250ms`, `0s`.
 *
 * @param ms finite milliseconds; less than a nanosecond is rounded
 */
export function formatDuration(ms: number): string {
  const size = Math.abs(ms);
  const nanos = BigInt(Math.trunc(size)) * MILLISECOND + BigInt(Math.round((size % 1) * 1e6));
  return ms < 0 && nanos !== 0n ? `-${formatNanos(nanos)}` : formatNanos(nanos);
}

function formatNanos(nanos: bigint): string {
  if (nanos === 0n) return '0s';
  if (nanos < MICROSECOND) return `${nanos}ns`;
  if (nanos < MILLISECOND) return `${decimal(nanos, MICROSECOND)}µs`;
  if (nanos < SECOND) return `${decimal(nanos, MILLISECOND)}ms`;
  const seconds = `${decimal(nanos % MINUTE, SECOND)}s`;
  if (nanos < MINUTE) return seconds;
  const minutes = `${(nanos % HOUR) / MINUTE}m${seconds}`;
  return nanos < HOUR ? minutes : `${nanos / HOUR}h${minutes}`;
}

/** `value / unit` with as many decimals as it has and none in vain; `unit` is a power of ten. */
function decimal(value: bigint, unit: bigint): string {
  const fraction = (value % unit)
    .toString()
    .padStart(unit.toString().length - 1, '0')
    .replace(/0+$/, '');
  return fraction === '' ? `${value / unit}` : `${value / unit}.${fraction}`;
}
