import type * as Grpc from '@grpc/grpc-js';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import type tls from 'node:tls';
import { FinialError } from '../common/errors.ts';
import type { SpiffeId } from '../spiffe/id.ts';
import { type ClientSource, connectTls, type TlsClientOptions } from './tls/connect.ts';
import { verifiedPeer, type VerifiedPeer } from './tls/peer.ts';
import { createTlsServer, type ServerSource, type TlsServerOptions } from './tls/server.ts';

/** The module `@grpc/grpc-js` of the application: credentials work only with the copy of it that they come from. */
export type GrpcModule = Pick<typeof Grpc, 'ChannelCredentials' | 'ServerCredentials' | 'credentials'>;

/**
 * Credentials for channels to verified, authorized servers. Each connection presents the X509-SVID of that moment; one
 * that is open lives on through rotations. A server that is refused shows as `UNAVAILABLE`, with the reason in it.
 *
 *     import * as grpc from '@grpc/grpc-js';
 *     const client = new ShopClient('shop:8443', grpcCredentials(grpc, source, { authorize }));
 */
export function grpcCredentials(
  grpc: GrpcModule,
  source: ClientSource,
  options: TlsClientOptions,
): Grpc.ChannelCredentials {
  return new (credentialsClass(grpc))(source, options);
}

type CredentialsClass = new (source: ClientSource, options: TlsClientOptions) => Grpc.ChannelCredentials;
const classes = new WeakMap<object, CredentialsClass>();

/** The library takes only its own kind of credentials, so the class extends that of the copy in use. */
function credentialsClass(grpc: GrpcModule): CredentialsClass {
  const known = classes.get(grpc.ChannelCredentials);
  if (known !== undefined) return known;
  class SpiffeChannelCredentials extends grpc.ChannelCredentials {
    readonly #source: ClientSource;
    readonly #options: TlsClientOptions;

    constructor(source: ClientSource, options: TlsClientOptions) {
      super();
      this.#source = source;
      this.#options = options;
    }

    override _isSecure(): boolean {
      return true;
    }

    /** Channels share connections when their credentials are equal: only these very ones prove and accept the same. */
    override _equals(other: Grpc.ChannelCredentials): boolean {
      return other === this;
    }

    override _createSecureConnector(
      ...[_target, _options, callCredentials]: Parameters<Grpc.ChannelCredentials['_createSecureConnector']>
    ): ReturnType<Grpc.ChannelCredentials['_createSecureConnector']> {
      const [source, options] = [this.#source, this.#options];
      return {
        connect: async (socket: Socket) => {
          const connected = await connectTls(source, { ...options, socket, alpn: ['h2'] });
          return { socket: connected.socket, secure: true };
        },
        waitForReady: () => Promise.resolve(),
        getCallCredentials: () => callCredentials ?? grpc.credentials.createEmpty(),
        destroy: () => undefined,
      };
    }
  }
  classes.set(grpc.ChannelCredentials, SpiffeChannelCredentials);
  return SpiffeChannelCredentials;
}

/** A port on which a gRPC server takes verified clients. */
export interface GrpcListener {
  readonly port: number;
  /** Takes no more connections; those that are open go on until the gRPC server is shut down. */
  close(): void;
}

/** Where to listen; any free port of all addresses unless said otherwise. */
export interface GrpcListenOptions extends TlsServerOptions {
  readonly host?: string;
  readonly port?: number;
}

/**
 * Lets a gRPC server take calls of verified, authorized clients; `grpcPeerId(call)` names the caller. In place of
 * `server.bindAsync`, which could not judge clients by the bundle of their own trust domain.
 *
 * @throws the error of `listen`, such as an address in use
 */
export async function listenGrpc(
  grpc: GrpcModule,
  server: Grpc.Server,
  source: ServerSource,
  options: GrpcListenOptions,
): Promise<GrpcListener> {
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const take = (socket: tls.TLSSocket): void => {
    nameConnection(socket);
    injector.injectConnection(socket);
  };
  const listener = createTlsServer(source, options, take, { ALPNProtocols: ['h2'] });
  listener.listen(options.port ?? 0, options.host);
  await once(listener, 'listening');
  return { port: (listener.address() as AddressInfo).port, close: () => void listener.close() };
}

const callers = new Map<string, VerifiedPeer>();
let connections = 0;

/**
 * All that the library shows of a call's connection is its address, and another connection, on a port without TLS, could
 * come from the same one. So each verified connection is given a name that no address can be.
 */
function nameConnection(socket: tls.TLSSocket): void {
  const peer = verifiedPeer(socket);
  if (peer === undefined) return;
  connections += 1;
  const name = `${peer.id}#${connections}`;
  Object.defineProperty(socket, 'remoteAddress', { value: name, configurable: true });
  Object.defineProperty(socket, 'remotePort', { value: undefined, configurable: true });
  callers.set(name, peer);
  socket.once('close', () => callers.delete(name));
}

/**
 * The SPIFFE ID of the client that makes a call.
 *
 * @param call as handlers of unary and streaming methods get it
 * @throws FinialError `unauthenticated` for a call that came another way than through `listenGrpc`
 */
export function grpcPeerId(call: { getPeer(): string }): SpiffeId {
  const peer = callers.get(call.getPeer());
  if (peer === undefined) throw new FinialError('unauthenticated', 'the caller was not verified');
  return peer.id;
}
