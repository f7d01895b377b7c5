import { goQuote } from '../../spiffe/go-quote.ts';
import { rfc3339 } from '../time.ts';
import type { LogFields, LogLevel } from './logger.ts';

/** One line before it is text. */
interface LogRecord {
  readonly level: LogLevel;
  readonly message: string;
  readonly time: Date;
  readonly fields: LogFields;
}

/** @param fraction whether timestamps show what is below the second */
export type LogFormatter = (record: LogRecord, fraction: boolean) => string;

/** `time="…" level=info msg="…" key=value`, keys in order, as the reference writes to what is no terminal. */
export const formatText: LogFormatter = (record, fraction) => {
  const { level, message, time } = record;
  const head = `time=${textValue(rfc3339(time, 'Local', { fraction }))} level=${level}`;
  const fields = printable(record).map(([key, value]) => ` ${key}=${textValue(spell(value))}`);
  return `${head}${message === '' ? '' : ` msg=${textValue(message)}`}${fields.join('')}\n`;
};

/** One JSON object with its keys in order and, as the reference writes it, `<`, `>` and `&` escaped. */
export const formatJson: LogFormatter = (record, fraction) => {
  const { level, message: msg, time } = record;
  const own = { level, msg, time: rfc3339(time, 'Local', { fraction }) };
  const entries = [...printable(record), ...Object.entries(own)].sort(byKey);
  const members = entries.map(([key, value]) => `${JSON.stringify(key)}:${jsonValue(value)}`);
  return `{${members.join(',')}}\n`.replace(/[<>&\u2028\u2029]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
};

/** Keys of the line itself; a field of such a name is told apart. */
const OWN_KEYS: ReadonlySet<string> = new Set(['level', 'msg', 'time']);

function printable({ fields }: LogRecord): [string, unknown][] {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]): [string, unknown] => [OWN_KEYS.has(key) ? `fields.${key}` : key, value])
    .sort(byKey);
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function textValue(text: string): string {
  return /[^a-zA-Z0-9\-._/@^+]/.test(text) ? goQuote(text) : text;
}

/** A value as text; lists as Go prints them: `[a b]`. */
function spell(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null) return '<nil>';
  if (value instanceof Error) return value.message;
  if (value instanceof Date) return rfc3339(value, 'UTC');
  if (Array.isArray(value)) return `[${value.map(spell).join(' ')}]`;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return value.toString();
  return jsonValue(value);
}

function jsonValue(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message);
  if (value instanceof Date) return JSON.stringify(rfc3339(value, 'UTC'));
  try {
    return (
      JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner)) ?? 'null'
    );
  } catch {
    // A line about something is worth more than an error about the line.
    return JSON.stringify(String(value));
  }
}
