import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchFolder } from '../test/support/scratch.ts';
import { spareCopy } from './spare-copy.ts';

const folder = scratchFolder();
const NOW = Date.UTC(2026, 10, 23, 16, 4, 5, 6);

describe('a spare copy', () => {
  it('is made once of each content, for the owner only, and of five at most', async () => {
    const file = path.join(folder, 'keys.json');
    expect(await spareCopy(file, NOW)).toBeUndefined();
    writeFileSync(file, 'content 0');
    chmodSync(file, 0o644);
    const copy = await spareCopy(file, NOW);
    expect(copy).toBe(`${file}.20261123T160405.006Z.bak`);
    expect(readFileSync(copy ?? '', 'utf8')).toBe('content 0');
    expect(statSync(copy ?? '').mode & 0o777).toBe(0o600);
    expect(await spareCopy(file, NOW + 1)).toBe(copy);

    for (let n = 1; n < 7; n += 1) {
      writeFileSync(file, `content ${n}`);
      expect((await spareCopy(file, NOW + n)) === undefined, `copy ${n}`).toBe(n >= 5);
    }
    expect(readdirSync(folder)).toHaveLength(6);
    expect(readFileSync(copy ?? '', 'utf8')).toBe('content 0');
    writeFileSync(file, 'content 0');
    expect(await spareCopy(file, NOW + 9)).toBe(copy);
  });

  it('that cannot be made is named', async () => {
    const file = path.join(folder, 'folder');
    await expect(spareCopy(path.join(folder, 'keys.json', 'x'), NOW)).rejects.toThrow(/unable to copy .*x to .*\.bak/);
    expect(await spareCopy(file, NOW)).toBeUndefined();
  });
});
