import { chmodSync, lstatSync, mkdirSync, renameSync, type Stats, unlinkSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { Clock } from '../clock.ts';
import { FinialError, messageOf } from '../errors.ts';
import { every } from '../every.ts';
import type { Closable } from '../lifecycle.ts';
import type { Logger } from '../log/logger.ts';
import type { Peer } from '../rpc/call.ts';
import { LISTEN_BACKLOG } from './backlog.ts';
import { mostConnections } from './connection-limits.ts';
import { type PeerProcess, readPeerProcess } from './peer-process.ts';

/** sockaddr_un holds 108 bytes including the closing zero. */
const LONGEST_PATH = 107;

/** The part of all connections that one process may hold. */
const SHARE_OF_ONE = 1 / 3;

/** Where to listen, and what is to be known of callers. */
export interface UnixListenerOptions {
  readonly path: string;
  /** Permissions of the socket file; in force before the first connection can be made. */
  readonly mode: number;
  /** Permissions of the folder, used only when it has to be made. */
  readonly directoryMode: number;
  /** Whether callers are identified by the kernel; a caller that cannot be is dropped. */
  readonly track: boolean;
  onSocket(socket: net.Socket, peer: Extract<Peer, { transport: 'unix' }>): void;
  readonly log: Logger;
  /** By which the socket file is looked after; without one, who deletes it cuts the listener off. */
  readonly clock?: Clock;
}

/** How often the socket file is looked after. */
const LOOK_INTERVAL_MS = 3000;

/**
 * Listens on a Unix socket. A socket file left by a process that is gone is replaced; one that still answers is not.
 *
 * When the file is deleted while this listens, as cleaners of temporary folders do, it is made anew; when someone else
 * put theirs in its place, that stays and is told. Connections go on in either case.
 *
 * @throws FinialError `failed-precondition` when the path is in use, too long, or not a socket, and when the folder
 * cannot be made or written
 */
export async function listenUnix(options: UnixListenerOptions): Promise<Closable> {
  const file = path.resolve(options.path);
  if (Buffer.byteLength(file) > LONGEST_PATH) {
    throw new FinialError('failed-precondition', `socket path is longer than ${LONGEST_PATH} bytes: ${file}`);
  }
  makeFolder(path.dirname(file), options.directoryMode);
  await removeStale(file);
  const sockets = new Set<net.Socket>();
  // A caller that is identified costs its pidfd besides.
  const most = mostConnections(options.track ? 2 : 1);
  const callers = new Map<number, number>();
  const mostOfOne = Math.ceil(most * SHARE_OF_ONE);
  const open = async (): Promise<Open> => {
    const server = net.createServer((socket) => accept(socket, options, { sockets, callers, mostOfOne }));
    server.maxConnections = most;
    server.on('drop', () => options.log.warn('Connection refused', { path: file, error: 'too many connections' }));
    await listen(server, file, options.mode);
    server.on('error', (error) => options.log.error('Socket failed', { path: file, error }));
    return { server, own: lstatSync(file, { throwIfNoEntry: false }) };
  };
  let current = await open();
  const stop = new AbortController();
  const look = lookAfter(file, options.log, {
    isOwn: (found) => isSame(found, current.own),
    async reopen() {
      makeFolder(path.dirname(file), options.directoryMode);
      await removeStale(file);
      // Nothing is at the path, so closing deletes nothing; its connections stay.
      current.server.close();
      current = await open();
    },
  });
  const looking = options.clock && every(LOOK_INTERVAL_MS, options.clock, stop.signal, look);
  return {
    async close() {
      stop.abort();
      await looking;
      const { own, server } = current;
      const closed = sparingOthers(file, own, options.log, () => new Promise((resolve) => server.close(resolve)));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A listener, and the file that it made. */
interface Open {
  readonly server: net.Server;
  readonly own: Stats | undefined;
}

function isSame(found: Stats, own: Stats | undefined): boolean {
  return found.ino === own?.ino && found.dev === own.dev;
}

/** Looks once whether the socket file is there and ours, and says what is wrong once until that changes. */
function lookAfter(
  file: string,
  log: Logger,
  socket: { isOwn(found: Stats): boolean; reopen(): Promise<void> },
): () => Promise<void> {
  let told = '';
  return async () => {
    try {
      const found = lstatSync(file, { throwIfNoEntry: false });
      if (found === undefined || !socket.isOwn(found)) {
        await socket.reopen();
        log.warn('Socket file was deleted by someone else; it is made anew', { path: file });
      }
      told = '';
    } catch (error) {
      const problem = messageOf(error);
      if (problem !== told)
        log.error('Nobody can connect: the socket file is not ours any more', { path: file, error });
      told = problem;
    }
  };
}

/**
 * Runs `close`, which deletes whatever is at the path, so that a socket of someone else who took the path meanwhile stays.
 * Ours keeps its inode for as long as it is open, so that another file cannot have the same number.
 */
function sparingOthers<T>(file: string, own: Stats | undefined, log: Logger, close: () => T): T {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined || isSame(found, own)) return close();
  log.warn('Socket was replaced by someone else; leaving it', { path: file });
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    // Who may not move it may not delete it either.
    return close();
  }
  try {
    return close();
  } finally {
    renameSync(aside, file);
  }
}

/** Who is connected. */
interface Connected {
  readonly sockets: Set<net.Socket>;
  /** Connections by PID, of callers that are identified. */
  readonly callers: Map<number, number>;
  readonly mostOfOne: number;
}

function accept(socket: net.Socket, options: UnixListenerOptions, { sockets, callers, mostOfOne }: Connected): void {
  // An aborted connection is not news; without a listener the error would end the process.
  socket.on('error', (error) => options.log.debug('Connection failed', { error }));
  let process: PeerProcess | undefined;
  try {
    process = options.track ? readPeerProcess(socket) : undefined;
    const release = process === undefined ? undefined : admit(process.pid, callers, mostOfOne);
    socket.once('close', () => {
      sockets.delete(socket);
      release?.();
      process?.close();
    });
    sockets.add(socket);
    options.onSocket(socket, { transport: 'unix', process });
  } catch (error) {
    options.log.warn('Connection failed during accept', { pid: process?.pid, error });
    if (!sockets.has(socket)) process?.close();
    socket.destroy();
  }
}

/** Counts a connection of a process; the function returned counts it off. @throws FinialError when it has too many */
function admit(pid: number, callers: Map<number, number>, most: number): () => void {
  const count = callers.get(pid) ?? 0;
  if (count >= most) throw new FinialError('resource-exhausted', 'the process has too many connections');
  callers.set(pid, count + 1);
  return () => {
    const left = (callers.get(pid) ?? 1) - 1;
    if (left === 0) callers.delete(pid);
    else callers.set(pid, left);
  };
}

function makeFolder(folder: string, mode: number): void {
  // A daemon's umask is strict; a folder that workloads of all users must reach is made with exactly its mode.
  const umask = process.umask(0o777 & ~mode);
  try {
    mkdirSync(folder, { recursive: true, mode });
  } catch (error) {
    throw new FinialError('failed-precondition', `cannot make the socket's folder ${folder}: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    process.umask(umask);
  }
}

async function removeStale(file: string): Promise<void> {
  const stats = lstatSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) {
    throw new FinialError('failed-precondition', `cannot listen on ${file}: a file that is no socket is in the way`);
  }
  if (await answers(file)) {
    throw new FinialError(
      'failed-precondition',
      `cannot listen on ${file}: another process is serving it; stop that process or choose another socket path`,
    );
  }
  try {
    unlinkSync(file);
  } catch (error) {
    throw new FinialError('failed-precondition', `cannot replace the old socket ${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** A socket is only dead when the kernel says so: one whose queue is full, or that we may not use, has an owner. */
function answers(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(file);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}

/** bind(2) happens inside listen(), so the umask around it gives the file its mode before anybody can connect. */
function listen(server: net.Server, file: string, mode: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        new FinialError('failed-precondition', `cannot listen on ${file}: ${error.code ?? error.message}`, {
          cause: error,
        }),
      );
    });
    const umask = process.umask(0o777 & ~mode);
    try {
      server.listen({ path: file, backlog: LISTEN_BACKLOG }, () => {
        server.removeAllListeners('error');
        try {
          chmodSync(file, mode);
          resolve();
        } catch (error) {
          server.close();
          reject(
            new FinialError('failed-precondition', `cannot listen on ${file}: ${messageOf(error)}`, { cause: error }),
          );
        }
      });
    } finally {
      process.umask(umask);
    }
  });
}
