import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { scratchFolder } from '../../test/support/scratch.ts';
import { ManualClock } from '../clock.ts';
import { type LogFields, silentLogger } from '../log/logger.ts';
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

  it('makes the socket file anew when it was deleted, with its folder, and keeps connections', async () => {
    const file = path.join(folder, 'cleaned', 'api.sock');
    const clock = new ManualClock();
    const said: string[] = [];
    const log = { ...silentLogger, warn: (message: string) => void said.push(message) };
    const onSocket = (socket: net.Socket): void => void socket.on('data', (data) => socket.end(data));
    const listener = await listenUnix({ ...options(file), clock, log, onSocket });
    const before = net.connect(file);
    await once(before, 'connect');
    rmSync(path.dirname(file), { recursive: true });
    await passing(clock, () => existsSync(file));
    expect(statSync(file).mode & 0o777).toBe(0o770);
    const after = net.connect(file);
    for (const socket of [before, after]) {
      socket.write('hello');
      expect(String((await once(socket, 'data'))[0])).toBe('hello');
    }
    expect(said).toEqual(['Socket file was deleted by someone else; it is made anew']);
    await listener.close();
    expect(existsSync(file)).toBe(false);
  });

  it('says once that someone else took the path, leaves it to them, and takes it back when they are gone', async () => {
    const file = path.join(folder, 'stolen.sock');
    const clock = new ManualClock();
    const said: string[] = [];
    const log = {
      ...silentLogger,
      error: (message: string, fields?: LogFields) => void said.push(message + inspect(fields)),
    };
    const listener = await listenUnix({ ...options(file), clock, log });
    rmSync(file);
    const thief = net.createServer((socket) =>
      socket
        .on('error', () => undefined)
        .resume()
        .end('theirs'),
    );
    await new Promise<void>((resolve) => thief.listen(file, resolve));
    await passing(clock, () => said.length > 0);
    for (let n = 0; n < 5; n += 1) await passing(clock, () => true);
    expect(await answer(file)).toBe('theirs');
    expect(said).toEqual([expect.stringMatching(/not ours any more.*stolen\.sock.*another process is serving it/s)]);
    await new Promise((resolve) => thief.close(resolve));
    await passing(clock, () => existsSync(file));
    expect(await answer(file)).toBe('hello');
    await listener.close();
  });
});

/** Lets time go by until something is so. */
async function passing(clock: ManualClock, isSo: () => boolean): Promise<void> {
  do {
    await clock.advance(3000);
    await new Promise((resolve) => setTimeout(resolve, 5));
  } while (!isSo());
}
