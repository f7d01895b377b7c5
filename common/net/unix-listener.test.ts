import { spawnSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchFolder } from '../../test/support/scratch.ts';
import { silentLogger } from '../log/logger.ts';
import { listenUnix, type UnixListenerOptions } from './unix-listener.ts';

const folder = scratchFolder();

function options(file: string, mode = 0o770): UnixListenerOptions {
  return {
    path: file,
    mode,
    directoryMode: 0o750,
    track: false,
    log: silentLogger,
    onSocket: (socket) => socket.end('hello'),
  };
}

async function answer(file: string): Promise<string> {
  const socket = net.connect(file);
  let text = '';
  for await (const part of socket) text += String(part);
  return text;
}

describe('listenUnix', () => {
  it('makes the folder and the socket with the modes asked for, whatever the umask', async () => {
    const file = path.join(folder, 'modes', 'api.sock');
    const umask = process.umask(0o027);
    try {
      const listener = await listenUnix({ ...options(file, 0o777), directoryMode: 0o755 });
      expect(statSync(file).mode & 0o777).toBe(0o777);
      expect(statSync(path.dirname(file)).mode & 0o777).toBe(0o755);
      expect(process.umask()).toBe(0o027);
      expect(await answer(file)).toBe('hello');
      await listener.close();
      expect(existsSync(file)).toBe(false);
    } finally {
      process.umask(umask);
    }
  });

  it('replaces a socket that nobody serves any more', async () => {
    const file = path.join(folder, 'stale.sock');
    spawnSync(process.execPath, [
      '-e',
      `require("net").createServer().listen(${JSON.stringify(file)}, () => process.kill(process.pid, "SIGKILL"))`,
    ]);
    expect(statSync(file).isSocket()).toBe(true);
    const listener = await listenUnix(options(file));
    expect(await answer(file)).toBe('hello');
    await listener.close();
  });

  it('refuses to take a socket from a process that serves it', async () => {
    const file = path.join(folder, 'live.sock');
    const first = await listenUnix(options(file));
    await expect(listenUnix(options(file))).rejects.toThrow(/another process is serving it/);
    expect(await answer(file)).toBe('hello');
    await first.close();
  });

  it('refuses a file that is no socket and leaves it alone', async () => {
    const file = path.join(folder, 'file');
    writeFileSync(file, 'precious');
    await expect(listenUnix(options(file))).rejects.toThrow(/no socket is in the way/);
    expect(statSync(file).size).toBe(8);
  });

  it('refuses a path that the kernel would cut', async () => {
    await expect(listenUnix(options(path.join(folder, 'x'.repeat(120))))).rejects.toThrow(/longer than 107 bytes/);
  });

  it('names a folder that it cannot make', async () => {
    const file = path.join(folder, 'a-file');
    writeFileSync(file, '');
    await expect(listenUnix(options(path.join(file, 'api.sock')))).rejects.toThrow(/cannot make the socket's folder/);
  });
});
