import { spawn } from 'node:child_process';
import { lstatSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../common/log/logger.ts';
import { listenUnix, type UnixListenerOptions } from '../../../common/net/unix-listener.ts';
import { eventually } from '../../support/daemons.ts';
import { scratchFolder } from '../../support/scratch.ts';

const folder = scratchFolder();

const options = (file: string): UnixListenerOptions => ({
  path: file,
  mode: 0o770,
  directoryMode: 0o750,
  track: false,
  log: silentLogger,
  onSocket: (socket) => socket.end('ours'),
});

async function answer(file: string): Promise<string> {
  let text = '';
  for await (const part of net.connect(file)) text += String(part);
  return text;
}

describe('the path of a socket', () => {
  it('is refused, and what is there kept, when that is no socket', async () => {
    const target = path.join(folder, 'target');
    const file = path.join(folder, 'in-the-way');
    for (const put of [
      () => writeFileSync(file, 'precious'),
      () => mkdirSync(file),
      () => symlinkSync(target, file),
      () => (writeFileSync(target, 'precious'), symlinkSync(target, file)),
    ]) {
      put();
      const { ino } = lstatSync(file);
      await expect(listenUnix(options(file))).rejects.toThrow(`cannot listen on ${file}: a file that is no socket`);
      expect(lstatSync(file).ino).toBe(ino);
      rmSync(file, { recursive: true });
    }
    expect(readFileSync(target, 'utf8')).toBe('precious');
  });

  it('is not unlinked when a link leads to a socket of someone else', async () => {
    const file = path.join(folder, 'real.sock');
    const link = path.join(folder, 'link.sock');
    const real = await listenUnix(options(file));
    symlinkSync(file, link);
    await expect(listenUnix(options(link))).rejects.toThrow(`cannot listen on ${link}`);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    await real.close();
  });

  it('stays with whoever took it while we ran', async () => {
    const file = path.join(folder, 'taken.sock');
    const first = await listenUnix(options(file));
    rmSync(file);
    const other = net.createServer((socket) => socket.end('theirs'));
    await new Promise<void>((resolve) => other.listen(file, resolve));
    await first.close();
    expect(await answer(file)).toBe('theirs');
    await new Promise((resolve) => other.close(resolve));
  });

  it('is not taken from a process that is too busy to answer', async () => {
    const file = path.join(folder, 'busy.sock');
    const code = `require('net').createServer().listen({ path: ${JSON.stringify(file)}, backlog: 1 }, () => process.kill(process.pid, 'SIGSTOP'))`;
    const busy = spawn(process.execPath, ['-e', code]);
    const waiting: net.Socket[] = [];
    try {
      await eventually('a full queue', async () => {
        const socket = net.connect(file);
        waiting.push(socket);
        const outcome = await new Promise((resolve) => {
          socket.once('connect', () => resolve('connected'));
          socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
        });
        expect(outcome).toBe('EAGAIN');
      });
      const { ino } = lstatSync(file);
      await expect(listenUnix(options(file))).rejects.toThrow(
        `cannot listen on ${file}: another process is serving it`,
      );
      expect(lstatSync(file).ino).toBe(ino);
    } finally {
      for (const socket of waiting) socket.destroy();
      busy.kill('SIGKILL');
    }
  });

  it('may be gone or moved when we end', async () => {
    const file = path.join(folder, 'moved.sock');
    const moved = path.join(folder, 'elsewhere.sock');
    const first = await listenUnix(options(file));
    renameSync(file, moved);
    expect(await answer(moved)).toBe('ours');
    await first.close();
    expect(lstatSync(file, { throwIfNoEntry: false })).toBeUndefined();
  });
});
