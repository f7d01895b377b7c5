import net from 'node:net';
import type { Duplex } from 'node:stream';
import { Server, ServerCredentials, type ServerOptions, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Logger } from '../log/logger.ts';
import { FinialError } from '../errors.ts';
import { boundIntake } from './intake.ts';
import { withReadableAuthority } from './readable-authority.ts';
import type { Interceptor, Peer } from './call.ts';
import { type CallEnvironment, grpcHandler, type LiveCall } from './serve.ts';
import type { ImplementedService, LoadedMethod } from './service.ts';

/** A gRPC server that is handed its connections, by listeners that know who is at the other end. */
export interface RpcServer {
  /** Serves calls on `socket` from now on; handlers see `peer`. A server that was told to stop drops the socket. */
  accept(socket: Duplex, peer: Peer): void;
  /**
   * Takes no more calls, ends streams with `unavailable`, and lets single calls finish for up to `graceMs`; then breaks
   * off what is left. Resolves when no connection is open. A handler that ignores its signal may outlive this.
   */
  stop(graceMs: number): Promise<void>;
}

/** What a server answers, and what runs before it does. */
export interface RpcServerOptions {
  readonly services: readonly ImplementedService[];
  /** Run before each handler in this order. */
  readonly interceptors: readonly Interceptor[];
  readonly log: Logger;
  readonly limits?: RpcServerLimits;
}

/** How much of a client is put up with. */
export interface RpcServerLimits {
  /** Size of one request, after decompression; 4 MiB unless told. */
  readonly maxReceiveBytes?: number | undefined;
  /** Simultaneous calls on one connection; 1000 unless told. More wait on the client's side. */
  readonly maxConcurrentStreams?: number | undefined;
  /** A connection this old takes no more calls, so that clients spread out anew; unlimited unless told. */
  readonly maxConnectionAgeMs?: number | undefined;
  /** Calls that are still open this long after their connection became too old are broken off; never unless told. */
  readonly maxConnectionAgeGraceMs?: number | undefined;
  /** A silent connection is asked for a sign of life this often; every 30 seconds unless told. */
  readonly keepaliveMs?: number | undefined;
  /** How long a client may take to begin speaking HTTP/2; 20 seconds unless told. */
  readonly openingMs?: number | undefined;
  /** Open calls of all connections together; 8192 unless told. Beyond it a connection with few calls gets another. */
  readonly openCalls?: number | undefined;
  /** How long one message may be on its way; 60 seconds unless told. */
  readonly messageMs?: number | undefined;
}

const DEFAULT_RECEIVE_BYTES = 4 * 1024 * 1024;
const DEFAULT_STREAMS = 1000;
/**
 * Node 20 does not close a connection whose client broke HTTP/2 or reset too many calls, nor sees that the client has
 * closed it (measured; 24 does both). It no longer answers either, by which it is found out.
 */
const DEFAULT_KEEPALIVE_MS = 30_000;
/** A connection that gives no sign of life for this long after it was asked is dropped. */
const KEEPALIVE_ANSWER_MS = 20_000;
const DEFAULT_OPENING_MS = 20_000;
/** The preface and the header of the SETTINGS frame that comes with it (RFC 9113 3.4). */
const OPENING_BYTES = 24 + 9;
const DEFAULT_MESSAGE_MS = 60_000;
/** Four of the longest messages. */
const UNFINISHED_BYTES = 4 * DEFAULT_RECEIVE_BYTES;
const ALL_UNFINISHED_BYTES = 64 * 1024 * 1024;
/** A stream of the Workload API costs 46 kB (measured). */
const DEFAULT_OPEN_CALLS = 8192;

/** A gRPC server without a listener: connections come in through `accept`, with what is known of their other end. */
export function createRpcServer(options: RpcServerOptions): RpcServer {
  const { log, limits = {} } = options;
  const peers = new Map<string, Peer>();
  const live = new Set<LiveCall>();
  const sockets = new Set<Duplex>();
  const server = new Server({
    'grpc.enable_channelz': 0,
    'grpc.max_receive_message_length': limits.maxReceiveBytes ?? DEFAULT_RECEIVE_BYTES,
    'grpc.max_concurrent_streams': limits.maxConcurrentStreams ?? DEFAULT_STREAMS,
    'grpc.keepalive_time_ms': limits.keepaliveMs ?? DEFAULT_KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': Math.min(KEEPALIVE_ANSWER_MS, limits.keepaliveMs ?? DEFAULT_KEEPALIVE_MS),
    ...ageOptions(limits),
    interceptors: [
      boundIntake({
        connectionBytes: UNFINISHED_BYTES,
        totalBytes: ALL_UNFINISHED_BYTES,
        messageMs: limits.messageMs ?? DEFAULT_MESSAGE_MS,
        openCalls: limits.openCalls ?? DEFAULT_OPEN_CALLS,
      }),
    ],
  });
  const environment: CallEnvironment = { peers, live, interceptors: options.interceptors, log };
  for (const service of options.services) addService(server, service, environment);

  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  let connections = 0;
  let stopping: Promise<void> | undefined;
  return {
    accept(socket, peer) {
      socket.on('error', (error) => log.debug('Connection failed', { error }));
      if (stopping !== undefined || socket.destroyed) {
        socket.destroy();
        return;
      }
      connections += 1;
      const key = `connection-${connections}`;
      // Callers name a server on a Unix socket by anything, a path for example; over TLS they have a name for it.
      const connection =
        peer.transport === 'unix' && socket instanceof net.Socket ? withReadableAuthority(socket) : socket;
      nameConnection(connection, key);
      peers.set(key, peer);
      sockets.add(socket);
      const opened = setTimeout(() => {
        if (bytesFrom(socket) < OPENING_BYTES) socket.destroy();
      }, limits.openingMs ?? DEFAULT_OPENING_MS).unref();
      socket.once('close', () => {
        clearTimeout(opened);
        peers.delete(key);
        sockets.delete(socket);
      });
      injector.injectConnection(connection);
    },
    stop(graceMs) {
      stopping ??= stop(server, { live, sockets }, graceMs);
      return stopping;
    },
  };
}

function ageOptions({ maxConnectionAgeMs, maxConnectionAgeGraceMs }: RpcServerLimits): ServerOptions {
  return {
    ...(maxConnectionAgeMs !== undefined && { 'grpc.max_connection_age_ms': maxConnectionAgeMs }),
    ...(maxConnectionAgeGraceMs !== undefined && { 'grpc.max_connection_age_grace_ms': maxConnectionAgeGraceMs }),
  };
}

/** What came in over a connection; not counted for streams that are no sockets. */
function bytesFrom(socket: Duplex): number {
  return socket instanceof net.Socket ? socket.bytesRead : Number.POSITIVE_INFINITY;
}

function addService(server: Server, service: ImplementedService, environment: CallEnvironment): void {
  const definition: Record<string, LoadedMethod> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const method of service.methods) {
    // Handlers of ours give bytes, encoded where a failure can still become a status.
    const responseSerialize = (value: object): Buffer => value as Buffer;
    definition[method.name] = { ...method.definition, responseSerialize };
    implementation[method.name] = grpcHandler(method, environment);
  }
  server.addService(definition, implementation);
}

/** The library tells calls apart by the address of their socket alone, so each connection gets an address of its own. */
function nameConnection(socket: Duplex, key: string): void {
  Object.defineProperty(socket, 'remoteAddress', { value: key, configurable: true });
  Object.defineProperty(socket, 'remotePort', { value: undefined, configurable: true });
}

/** How long calls that were broken off have to tell their callers, in milliseconds. */
const BREAK_OFF_MS = 500;
/** Pause between two looks at what is still open while stopping, in milliseconds. */
const LOOK_MS = 10;

/**
 * Lets calls end, then their connections. Streams of ours would never end by themselves, so they are told at once; the
 * rest is told when its time is up. Callers hear the reason before their connection is cut, since what a cut looks like
 * to them depends on the moment.
 */
async function stop(
  server: Server,
  { live, sockets }: { readonly live: ReadonlySet<LiveCall>; readonly sockets: ReadonlySet<Duplex> },
  graceMs: number,
): Promise<void> {
  // It calls back while calls are still open on Node 24, and its error only says that it had no port of its own.
  server.tryShutdown(() => undefined);
  const reason = new FinialError('unavailable', 'the server is shutting down');
  for (const call of live) if (call.streaming) call.abort(reason);
  await untilEmpty(live, graceMs);
  for (const call of live) call.abort(reason);
  await untilEmpty(live, BREAK_OFF_MS);
  await untilEmpty(sockets, BREAK_OFF_MS);
  server.forceShutdown();
  // With a call still open, Node 24 keeps the socket of a session that was destroyed.
  for (const socket of sockets) socket.destroy();
}

async function untilEmpty(set: ReadonlySet<unknown>, patienceMs: number): Promise<void> {
  for (let waited = 0; set.size > 0 && waited < patienceMs; waited += LOOK_MS) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
