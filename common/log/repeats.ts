import type { LogFields } from './logger.ts';

/** Lines of one kind about one caller in one window, and of one kind about all callers. */
const MOST_PER_CALLER = 20;
const MOST_OF_KIND = 200;
const WINDOW_MS = 10_000;

/** What is to be done with a line; the fields are to be added to it. */
export type Verdict = { readonly write: true; readonly fields: LogFields } | { readonly write: false };

interface Count {
  lines: number;
  leftOut: number;
}

const asItIs: Verdict = { write: true, fields: {} };

/**
 * Keeps warnings and errors that callers can cause at will from filling disks and hiding other lines: of each message 20
 * lines in 10 seconds about one caller (its `pid` or the address in its `caller_addr`), and 200 about all, are written.
 * The last one written says so (`more=left out`), and the first one in a later window says how many were left out
 * (`left_out`). The reference writes all of them.
 */
export function limitRepeats(): (message: string, fields: LogFields, now: number) => Verdict {
  let counts = new Map<string, Count>();
  let previous = new Map<string, Count>();
  let since = 0;
  const countOf = (key: string): Count => {
    const known = counts.get(key);
    if (known !== undefined) return known;
    const count = { lines: 0, leftOut: 0 };
    counts.set(key, count);
    return count;
  };
  return (message, fields, now) => {
    // A clock that was set back begins a new window too.
    if (Math.abs(now - since) >= WINDOW_MS) {
      previous = counts;
      counts = new Map();
      since = now;
    }
    const ofKind = countOf(message);
    if (ofKind.lines >= MOST_OF_KIND) {
      ofKind.leftOut += 1;
      return { write: false };
    }
    // Names of callers are kept only as long as their kind is written, so that they are bounded too.
    const ofCaller = countOf(`${message}\n${callerOf(fields)}`);
    if (ofCaller.lines >= MOST_PER_CALLER) {
      ofKind.leftOut += 1;
      return { write: false };
    }
    ofKind.lines += 1;
    ofCaller.lines += 1;
    const before = previous.get(message)?.leftOut ?? 0;
    previous.delete(message);
    const last = ofCaller.lines === MOST_PER_CALLER || ofKind.lines === MOST_OF_KIND;
    if (before === 0 && !last) return asItIs;
    return { write: true, fields: { ...(before > 0 && { left_out: before }), ...(last && { more: 'left out' }) } };
  };
}

function callerOf({ pid, caller_addr: address }: LogFields): string {
  if (typeof pid === 'number') return String(pid);
  return typeof address === 'string' ? address.replace(/(?<=[\].\d]):\d+$/, '') : '';
}
