import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../common/log/logger.ts';
import { formatSelector } from '../../../spiffe/selector.ts';
import { scratchFolder } from '../../../test/support/scratch.ts';
import { parseAccounts } from './accounts.ts';
import { createUnixAttestor, type UnixSources } from './unix.ts';

const folder = scratchFolder();
const signal = new AbortController().signal;
const real: UnixSources = { proc: '/proc', passwd: '/etc/passwd', group: '/etc/group' };

async function attest(
  pid: number,
  config: { discover_workload_path?: boolean; workload_size_limit?: number } = {},
  sources = real,
): Promise<string[]> {
  const full = { discover_workload_path: false, workload_size_limit: 0, ...config };
  return (await createUnixAttestor(full, silentLogger, sources).attest(pid, signal)).map(formatSelector);
}

/** A proc file system of one process, 7, that runs `program` under ids that no real account has. */
function fakeProc(name: string, program: string): UnixSources {
  const proc = path.join(folder, name);
  mkdirSync(path.join(proc, '7'), { recursive: true });
  writeFileSync(path.join(proc, '7', 'status'), 'Uid:\t1\t1001\t1\t1\nGid:\t2\t1002\t2\t2\nGroups:\t1002 1003 1004\n');
  symlinkSync(program, path.join(proc, '7', 'exe'));
  writeFileSync(
    path.join(proc, 'passwd'),
    'root:x:0:0::/root:/bin/sh\nweb:x:1001:1002::/:/bin/false\nweb2:x:1001:1::/:/\n',
  );
  writeFileSync(path.join(proc, 'group'), 'www:x:1002:\nlogs:x:1003:web\n');
  return { proc, passwd: path.join(proc, 'passwd'), group: path.join(proc, 'group') };
}

describe('the unix workload attestor', () => {
  it('tells a real process by its credentials', async () => {
    const selectors = await attest(process.pid);
    expect(selectors).toContain(`unix:uid:${process.geteuid?.()}`);
    expect(selectors).toContain(`unix:gid:${process.getegid?.()}`);
    expect(selectors.filter((one) => /^unix:(path|sha256):/.test(one))).toEqual([]);
  });

  it('uses effective ids and names the accounts that exist', async () => {
    expect(await attest(7, {}, fakeProc('names', process.execPath))).toEqual([
      'unix:uid:1001',
      'unix:user:web',
      'unix:gid:1002',
      'unix:group:www',
      'unix:supplementary_gid:1002',
      'unix:supplementary_group:www',
      'unix:supplementary_gid:1003',
      'unix:supplementary_group:logs',
      'unix:supplementary_gid:1004',
    ]);
  });

  it('leaves names out when the account files cannot be read', async () => {
    const sources = { ...fakeProc('no-files', process.execPath), passwd: '/nonexistent', group: '/nonexistent' };
    expect((await attest(7, {}, sources)).filter((one) => /user|group/.test(one))).toEqual([]);
  });

  it('adds path and digest of the program when asked', async () => {
    const program = realpathSync(process.execPath);
    const selectors = await attest(process.pid, { discover_workload_path: true });
    expect(selectors).toContain(`unix:path:${program}`);
    expect(selectors).toContain(`unix:sha256:${createHash('sha256').update(readFileSync(program)).digest('hex')}`);
  });

  it('hashes the program that runs even after it was deleted and replaced on disk', async () => {
    const program = path.join(folder, 'sleep');
    copyFileSync('/bin/sleep', program);
    const child = spawn(program, ['60']);
    await once(child, 'spawn');
    const want = createHash('sha256').update(readFileSync(program)).digest('hex');
    unlinkSync(program);
    writeFileSync(program, 'something else');
    const selectors = await attest(child.pid ?? 0, { discover_workload_path: true });
    expect(selectors).toContain(`unix:sha256:${want}`);
    child.kill('SIGKILL');
  });

  it('applies the size limit: refuses above it, and skips the digest when negative', async () => {
    const file = path.join(folder, 'program');
    writeFileSync(file, '0123456789');
    const sources = fakeProc('limit', file);
    const size = statSync(file).size;
    await expect(attest(7, { discover_workload_path: true, workload_size_limit: size - 1 }, sources)).rejects.toThrow(
      `workload ${file} exceeds size limit (10 > 9)`,
    );
    expect((await attest(7, { discover_workload_path: true, workload_size_limit: size }, sources)).at(-1)).toMatch(
      /^unix:sha256:/,
    );
    expect((await attest(7, { discover_workload_path: true, workload_size_limit: -1 }, sources)).at(-1)).toBe(
      `unix:path:${file}`,
    );
  });

  it('fails for a process that is not there', async () => {
    await expect(attest(2 ** 22 + 1)).rejects.toThrow(/cannot read the process's status/);
  });
});

describe('parseAccounts', () => {
  it('keeps the first name of an id and passes over what is no account', () => {
    expect(parseAccounts('# x:y:1\na:x:1:\nb:x:1:\n\nbad\nc:x:-1:\n:x:5:\nd:x:6:')).toEqual(
      new Map([
        [1, 'a'],
        [6, 'd'],
      ]),
    );
  });
});
