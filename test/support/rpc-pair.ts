import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Logger } from '../../common/log/logger.ts';
import { silentLogger } from '../../common/log/logger.ts';
import type { Interceptor, Peer } from '../../common/rpc/call.ts';
import { connectUnix, type RpcChannel } from '../../common/rpc/client.ts';
import { createRpcServer, type RpcServer, type RpcServerLimits } from '../../common/rpc/server.ts';
import type { ImplementedService } from '../../common/rpc/service.ts';

/** A server on a Unix socket of its own, and a client connected to it. */
export interface RpcPair {
  readonly server: RpcServer;
  readonly channel: RpcChannel;
  readonly socketPath: string;
  close(): Promise<void>;
}

export interface RpcPairOptions {
  readonly interceptors?: readonly Interceptor[];
  readonly limits?: RpcServerLimits;
  readonly log?: Logger;
  readonly clientLimits?: { readonly maxReceiveBytes?: number };
  /** The peer of the n-th connection, from 1. */
  readonly peer?: (connection: number) => Peer;
}

export async function rpcPair(services: readonly ImplementedService[], options: RpcPairOptions = {}): Promise<RpcPair> {
  const folder = mkdtempSync(path.join(tmpdir(), 'finial-rpc-'));
  const socketPath = path.join(folder, 'api.sock');
  const { interceptors = [], log = silentLogger, limits = {} } = options;
  const server = createRpcServer({ services, interceptors, log, limits });
  let connections = 0;
  const listener = net.createServer((socket) => {
    connections += 1;
    server.accept(socket, options.peer?.(connections) ?? { transport: 'unix', process: undefined });
  });
  await new Promise<void>((resolve) => listener.listen(socketPath, resolve));
  const channel = connectUnix(socketPath, options.clientLimits);
  return {
    server,
    channel,
    socketPath,
    async close() {
      channel.close();
      listener.close();
      await server.stop(0);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A promise to be settled from outside. */
export function deferred<T = void>(): { readonly promise: Promise<T>; resolve(value: T): void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
