import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { canChoosePids, spawnAs, trySpawnAs } from '../../test/support/pids.ts';
import { scratchFolder } from '../../test/support/scratch.ts';
import { silentLogger } from '../log/logger.ts';
import type { Closable } from '../lifecycle.ts';
import type { PeerProcess } from './peer-process.ts';
import { listenUnix } from './unix-listener.ts';

const folder = scratchFolder();
let count = 0;
const open: (Closable | ChildProcess)[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) {
    if ('kill' in one) one.kill('SIGKILL');
    else await one.close();
  }
});

/** A listener that hands over its first caller; `accepted` stays pending when the caller was dropped. */
async function listener(): Promise<{ file: string; accepted: Promise<PeerProcess> }> {
  count += 1;
  const file = path.join(folder, `${count}.sock`);
  const { promise, resolve } = deferred<PeerProcess>();
  const closable = await listenUnix({
    path: file,
    mode: 0o777,
    directoryMode: 0o755,
    track: true,
    log: silentLogger,
    onSocket: (_socket, peer) => peer.process && resolve(peer.process),
  });
  open.push(closable);
  return { file, accepted: promise };
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

const CONNECT = 'require("net").connect(process.argv[1]).on("connect", () => console.log("connected"))';

/** An impostor under the PID of a caller that has ended. */
async function impostorAs(pid: number): Promise<ChildProcess> {
  const impostor = await spawnAs(pid);
  open.push(impostor);
  return impostor;
}

describe('readPeerProcess', () => {
  it('names the process that connected, with its effective user and group', async () => {
    const { file, accepted } = await listener();
    const child = spawn(process.execPath, ['-e', CONNECT, file], { stdio: ['ignore', 'pipe', 'inherit'] });
    open.push(child);
    const peer = await accepted;
    expect(peer).toMatchObject({ pid: child.pid, uid: process.geteuid?.(), gid: process.getegid?.() });
    expect(peer.isSame()).toBe(true);
  });

  it('is no longer the same once the process has ended', async () => {
    const { file, accepted } = await listener();
    const child = spawn(process.execPath, ['-e', CONNECT, file], { stdio: ['ignore', 'pipe', 'inherit'] });
    open.push(child);
    const peer = await accepted;
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(peer.isSame()).toBe(false);
  });

  it('is not the same after close', async () => {
    const { file, accepted } = await listener();
    const socket = net.connect(file);
    const peer = await accepted;
    expect(peer.isSame()).toBe(true);
    peer.close();
    expect(peer.isSame()).toBe(false);
    socket.destroy();
  });

  const isRoot = process.geteuid?.() === 0;
  if (!isRoot) console.warn('one test skipped: only root can change the user of a process');

  (isRoot ? it : it.skip)('is not the same once it acts for another user than the one that connected', async () => {
    const { file, accepted } = await listener();
    const change = 'process.stdin.once("data", () => { process.seteuid(54321); console.log("changed"); });';
    const child = spawn(process.execPath, ['-e', `${CONNECT};${change}`, file], { stdio: ['pipe', 'pipe', 'inherit'] });
    open.push(child);
    const peer = await accepted;
    expect(peer.isSame()).toBe(true);
    child.stdin.write('now');
    for await (const text of child.stdout) if (String(text).includes('changed')) break;
    expect(peer.isSame()).toBe(false);
  });

  const reuse = canChoosePids() ? it : it.skip;

  reuse('tells a process that took over the PID of a caller from the caller', async () => {
    const { file, accepted } = await listener();
    const child = spawn(process.execPath, ['-e', CONNECT, file], { stdio: ['ignore', 'pipe', 'inherit'] });
    open.push(child);
    const peer = await accepted;
    child.kill('SIGKILL');
    await once(child, 'exit');
    const impostor = await impostorAs(peer.pid);
    expect(impostor.pid).toBe(peer.pid);
    expect(readlinkSync(`/proc/${peer.pid}/exe`)).toMatch(/sleep|coreutils|busybox/);
    expect(peer.isSame()).toBe(false);
  });

  reuse('is not fooled when the PID is taken over before the connection is accepted', async () => {
    const { file, accepted } = await listener();
    // While these two run synchronously our event loop cannot accept: the caller connects, ends, and is replaced.
    const caller = spawnSync(process.execPath, ['-e', `${CONNECT}.on("connect", () => process.exit())`, file]);
    expect(String(caller.stdout)).toBe('connected\n');
    let impostor: ChildProcess | undefined;
    for (let attempt = 0; attempt < 500 && impostor === undefined; attempt += 1) impostor = trySpawnAs(caller.pid);
    if (impostor === undefined) throw new Error('the PID could not be taken over');
    open.push(impostor);
    const dropped = new Promise<'dropped'>((resolve) => setTimeout(() => resolve('dropped'), 500));
    const outcome = await Promise.race([accepted, dropped]);
    expect(outcome === 'dropped' ? false : outcome.isSame()).toBe(false);
  });
});
