import { chmodSync, mkdirSync, statSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { FinialError, messageOf } from '../errors.ts';
import type { Closable } from '../lifecycle.ts';
import type { Logger } from '../log/logger.ts';
import type { Peer } from '../rpc/call.ts';
import { readPeerProcess } from './peer-process.ts';

/** sockaddr_un holds 108 bytes including the closing zero. */
const LONGEST_PATH = 107;

/** More connections than this are closed at accept, so that callers cannot use up the descriptors of the process. */
const MOST_CONNECTIONS = 8192;

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
}

/**
 * Listens on a Unix socket. A socket file left by a process that is gone is replaced; one that still answers is not.
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
  const server = net.createServer((socket) => accept(socket, options, sockets));
  server.maxConnections = MOST_CONNECTIONS;
  await listen(server, file, options.mode);
  server.on('error', (error) => options.log.error('Socket failed', { path: file, error }));
  return {
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function accept(socket: net.Socket, options: UnixListenerOptions, sockets: Set<net.Socket>): void {
  // An aborted connection is not news; without a listener the error would end the process.
  socket.on('error', (error) => options.log.debug('Connection failed', { error }));
  try {
    const process = options.track ? readPeerProcess(socket) : undefined;
    socket.once('close', () => {
      sockets.delete(socket);
      process?.close();
    });
    sockets.add(socket);
    options.onSocket(socket, { transport: 'unix', process });
  } catch (error) {
    options.log.warn('Connection failed during accept', { error });
    socket.destroy();
  }
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
  const stats = statSync(file, { throwIfNoEntry: false });
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
  unlinkSync(file);
}

function answers(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(file);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
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
      server.listen(file, () => {
        chmodSync(file, mode);
        server.removeAllListeners('error');
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}
