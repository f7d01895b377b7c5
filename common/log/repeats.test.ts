import { describe, expect, it } from 'vitest';
import { limitRepeats } from './repeats.ts';

const WINDOW_MS = 10_000;

/** How many of `count` lines are written. */
function written(count: number, fieldsOf: (index: number) => Record<string, unknown>, message = 'refused'): number {
  const judge = limitRepeats();
  return Array.from({ length: count }, (_, index) => judge(message, fieldsOf(index), 1)).filter(({ write }) => write)
    .length;
}

describe('repeated warnings and errors', () => {
  it('are written 20 times for one caller, whatever its ports', () => {
    expect(written(500, () => ({ pid: 7 }))).toBe(20);
    expect(written(500, (index) => ({ caller_addr: `10.0.0.1:${index}` }))).toBe(20);
    expect(written(500, (index) => ({ caller_addr: `[::1]:${index}` }))).toBe(20);
    expect(written(500, () => ({}))).toBe(20);
  });

  it('leave room for other callers and other messages', () => {
    const judge = limitRepeats();
    for (let line = 0; line < 500; line += 1) judge('refused', { pid: 7 }, 1);
    expect(judge('refused', { pid: 8 }, 1).write).toBe(true);
    expect(judge('something else', { pid: 7 }, 1).write).toBe(true);
  });

  it('are written 200 times for callers that are never the same', () => {
    expect(written(5000, (index) => ({ pid: index }))).toBe(200);
  });

  it('say when they are left out, and later how many were', () => {
    const judge = limitRepeats();
    const verdicts = Array.from({ length: 30 }, () => judge('refused', { pid: 7 }, 1));
    expect(verdicts[18]).toEqual({ write: true, fields: {} });
    expect(verdicts[19]).toEqual({ write: true, fields: { more: 'left out' } });
    expect(verdicts[20]).toEqual({ write: false });
    expect(judge('refused', { pid: 9 }, 1 + WINDOW_MS)).toEqual({ write: true, fields: { left_out: 10 } });
    expect(judge('refused', { pid: 9 }, 1 + WINDOW_MS)).toEqual({ write: true, fields: {} });
  });

  it('are written again when the clock was set back', () => {
    const judge = limitRepeats();
    for (let line = 0; line < 500; line += 1) judge('refused', {}, 10 * WINDOW_MS);
    expect(judge('refused', {}, 0).write).toBe(true);
  });
});
