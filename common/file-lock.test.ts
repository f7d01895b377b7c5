import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchFolder } from '../test/support/scratch.ts';
import { lockForProcess } from './file-lock.ts';

const folder = scratchFolder();

/** Another program that holds a flock(2) until it is killed. */
async function holder(file: string): Promise<ChildProcess> {
  const child = spawn('flock', ['--no-fork', file, 'sh', '-c', 'echo held; exec sleep 60'], { stdio: 'pipe' });
  await once(child.stdout, 'data');
  return child;
}

const hasFlock = spawnSync('flock', ['--version']).status === 0;
if (!hasFlock) console.warn('tests of file locks skipped: flock(1) is not installed');

describe.skipIf(!hasFlock)('lockForProcess', () => {
  it('keeps other processes out, and lets this one in again', () => {
    const file = path.join(folder, 'mine.json');
    lockForProcess(file, 'keys file');
    lockForProcess(file, 'keys file');
    expect(spawnSync('flock', ['--nonblock', `${file}.lock`, 'true']).status).toBe(1);
    expect(existsSync(file)).toBe(false);
  });

  it('names the file that another process holds, until that is killed', async () => {
    const file = path.join(folder, 'theirs.json');
    const child = await holder(`${file}.lock`);
    expect(() => lockForProcess(file, 'keys file')).toThrow(`keys file ${file} is in use by another process`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    lockForProcess(file, 'keys file');
    expect(existsSync(`${file}.lock`)).toBe(true);
  });

  it('names the file whose folder is missing', () => {
    const file = path.join(folder, 'missing', 'keys.json');
    expect(() => lockForProcess(file, 'keys file')).toThrow(`cannot lock keys file ${file}: ENOENT`);
  });
});
