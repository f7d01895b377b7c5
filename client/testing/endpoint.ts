import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Interceptor, Peer } from '../../common/rpc/call.ts';
import { createRpcServer, type RpcServer, type RpcServerOptions } from '../../common/rpc/server.ts';
import type { ImplementedService } from '../../common/rpc/service.ts';

/** A gRPC server at an address that stays its own while it is down. */
export interface TestEndpoint {
  /** `unix:///...` or `tcp://127.0.0.1:...` */
  readonly address: string;
  /** Breaks every connection off, as a crash would, and listens no more. */
  stop(): Promise<void>;
  /** Listens again at the same address; nothing when it already does. */
  start(): Promise<void>;
  /** `stop` for good. */
  close(): Promise<void>;
}

/** What is served, and where. */
export interface TestEndpointOptions {
  readonly transport: 'unix' | 'tcp';
  readonly services: readonly ImplementedService[];
  readonly interceptors: readonly Interceptor[];
}

/** Serves on a Unix socket in a new folder, or on a free port of 127.0.0.1. */
export async function testEndpoint(options: TestEndpointOptions): Promise<TestEndpoint> {
  const folder = options.transport === 'unix' ? await mkdtemp(path.join(tmpdir(), 'finial-')) : undefined;
  const socketPath = folder === undefined ? undefined : path.join(folder, 'api.sock');
  let running: Running | undefined = await run(options, socketPath ?? 0);
  const { port } = running;
  const stop = async (): Promise<void> => {
    const was = running;
    running = undefined;
    await was?.stop();
  };
  return {
    address: socketPath === undefined ? `tcp://127.0.0.1:${port}` : `unix://${pathToFileURL(socketPath).pathname}`,
    stop,
    async start() {
      running ??= await run(options, socketPath ?? port);
    },
    async close() {
      await stop();
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

interface Running {
  /** 0 for a Unix socket. */
  readonly port: number;
  stop(): Promise<void>;
}

/** @param at a path, a port, or 0 for any free port */
async function run({ services, interceptors }: TestEndpointOptions, at: string | number): Promise<Running> {
  const server = createRpcServer({ services, interceptors, log: onlyDefects });
  const sockets = new Set<net.Socket>();
  const listener = net.createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    server.accept(socket, peerOf(socket));
  });
  await listen(listener, at);
  const address = listener.address();
  return {
    port: address === null || typeof address === 'string' ? 0 : address.port,
    stop: () => stopAll(listener, sockets, server),
  };
}

async function stopAll(listener: net.Server, sockets: ReadonlySet<net.Socket>, server: RpcServer): Promise<void> {
  const closed = new Promise((resolve) => listener.close(resolve));
  for (const socket of sockets) socket.destroy();
  await closed;
  await server.stop(0);
}

function listen(listener: net.Server, at: string | number): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    const listening = (): void => {
      listener.off('error', reject);
      resolve();
    };
    if (typeof at === 'string') listener.listen(at, listening);
    else listener.listen(at, '127.0.0.1', listening);
  });
}

function peerOf(socket: net.Socket): Peer {
  const { remoteAddress: address, remotePort: port } = socket;
  if (address === undefined || port === undefined) return { transport: 'unix', process: undefined };
  return { transport: 'tcp', address, port, certificate: undefined };
}

const drop = (): void => undefined;

/** Callers of the fake hear of failures; only what is wrong with the fake itself is told here. */
const onlyDefects: RpcServerOptions['log'] = {
  ...{ warn: drop, info: drop, debug: drop, trace: drop },
  error: (message, fields) => process.emitWarning(`${message}: ${JSON.stringify(fields)}`, 'FakeWorkloadApi'),
  with: () => onlyDefects,
};
