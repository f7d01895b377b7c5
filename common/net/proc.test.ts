import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseProcessStatus, parseStartTime } from './proc.ts';

describe('parseProcessStatus', () => {
  it('reads effective ids and supplementary groups', () => {
    const text = 'Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t10 20 \n';
    expect(parseProcessStatus(text)).toEqual({ effectiveUid: 2, effectiveGid: 6, supplementaryGids: [10, 20] });
  });

  it('reads its own process', () => {
    const status = parseProcessStatus(readFileSync('/proc/self/status', 'utf8'));
    expect(status.effectiveUid).toBe(process.geteuid?.());
    expect(status.effectiveGid).toBe(process.getegid?.());
  });

  it('accepts a process without supplementary groups', () => {
    expect(parseProcessStatus('Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\n').supplementaryGids).toEqual([]);
  });

  it.each(['Gid:\t0\t0\nGroups:\n', 'Uid:\t0\nGid:\t0\t0\nGroups:\n', 'Uid:\ta\tb\nGid:\t0\t0\nGroups:\n'])(
    'refuses %j',
    (text) => {
      expect(() => parseProcessStatus(text)).toThrow(/Uid line/);
    },
  );
});

describe('parseStartTime', () => {
  const tail = Array.from({ length: 50 }, (_, index) => String(index + 3)).join(' ');

  it('takes field 22, whatever the name of the program', () => {
    expect(parseStartTime(`1 (a) b) S (c)) ${tail}`)).toBe('22');
  });

  it('refuses text that is not a stat file', () => {
    expect(() => parseStartTime('')).toThrow('malformed');
    expect(() => parseStartTime('1 (x) S 2')).toThrow('malformed');
  });
});
