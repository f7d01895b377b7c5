import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchFolder } from '../test/support/scratch.ts';
import { replaceFile } from './atomic-file.ts';

const modeOf = (file: string): number => statSync(file).mode & 0o777;

describe('replaceFile', () => {
  it('writes the content with the mode and leaves nothing else behind', async () => {
    const folder = scratchFolder();
    const file = path.join(folder, 'keys.json');
    await replaceFile(file, 'one', 0o600);
    await replaceFile(file, Buffer.from('two'), 0o600);
    expect(readFileSync(file, 'utf8')).toBe('two');
    expect(modeOf(file)).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['keys.json']);
  });

  it('does not take over the mode of an old file or of a leftover', async () => {
    const file = path.join(scratchFolder(), 'keys.json');
    writeFileSync(file, 'old');
    writeFileSync(`${file}.tmp`, 'torn');
    chmodSync(file, 0o644);
    chmodSync(`${file}.tmp`, 0o666);
    await replaceFile(file, 'new', 0o600);
    expect(modeOf(file)).toBe(0o600);
  });

  it('does not write through a link that waits under the temporary name', async () => {
    const folder = scratchFolder();
    const victim = path.join(folder, 'victim');
    writeFileSync(victim, 'untouched');
    symlinkSync(victim, path.join(folder, 'keys.json.tmp'));
    await replaceFile(path.join(folder, 'keys.json'), 'secret', 0o600);
    expect(readFileSync(victim, 'utf8')).toBe('untouched');
  });

  it('keeps the old content when the new one cannot be put in place', async () => {
    const file = path.join(scratchFolder(), 'keys.json');
    mkdirSync(file);
    writeFileSync(path.join(file, 'inside'), 'kept');
    await expect(replaceFile(file, 'new', 0o600)).rejects.toThrow('rename');
    expect(readFileSync(path.join(file, 'inside'), 'utf8')).toBe('kept');
  });
});
