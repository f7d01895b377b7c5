import { constants, type KeyObject } from 'node:crypto';
import type net from 'node:net';
import tls from 'node:tls';
import { certificatesToPem } from '../../spiffe/x509/pem.ts';
import { FinialError, messageOf } from '../errors.ts';
import type { Closable } from '../lifecycle.ts';
import type { Logger } from '../log/logger.ts';
import type { Observable } from '../observable.ts';
import type { Peer, PeerCertificate } from '../rpc/call.ts';
import { LISTEN_BACKLOG } from './backlog.ts';
import { type Crowd, crowd, mostConnections } from './connection-limits.ts';
import { presentedChain } from './presented-chain.ts';

/** The certificate chain (DER, leaf first, no root) that a listener presents, with the leaf's key. */
export interface TlsIdentity {
  readonly chain: readonly Buffer[];
  readonly privateKey: KeyObject;
}

/** Where to listen, as whom, and whom to let in. */
export interface TlsListenerOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Each new value is what the next handshake sees; connections that are open stay. */
  readonly identity: Observable<TlsIdentity>;
  /**
   * Judges a presented chain (DER, leaf first) by the bundle of its own trust domain.
   *
   * @throws when it is not to be trusted; the connection is then closed
   */
  verifyPeer(chain: readonly Buffer[]): PeerCertificate;
  onSocket(socket: tls.TLSSocket, peer: Extract<Peer, { transport: 'tcp' }>): void;
  readonly log: Logger;
  /** How long a client may take for its handshake, ms; 10 seconds unless told. */
  readonly handshakeTimeoutMs?: number;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
/**
 * The part of all connections that may be in their handshake, and that of clients without a certificate, who have nothing
 * to do here but to ask for a bundle and to attest. Whoever has a certificate always finds room.
 */
const SHARE_OF_HANDSHAKES = 1 / 8;
const SHARE_OF_ANONYMOUS = 1 / 4;

/**
 * Serves HTTP/2 over TLS 1.2 or newer. A client certificate is asked for but optional; one that is presented must
 * verify. Sessions are never resumed: a resumed one would carry no chain to judge (DESIGN.md decision 5).
 *
 * @throws FinialError `failed-precondition` when the address cannot be bound
 */
export async function listenTls(options: TlsListenerOptions): Promise<Closable & { readonly port: number }> {
  const most = mostConnections(1);
  const sockets = new Set<tls.TLSSocket>();
  const handshakes = crowd<net.Socket>(Math.ceil(most * SHARE_OF_HANDSHAKES));
  const anonymous = crowd<tls.TLSSocket>(Math.ceil(most * SHARE_OF_ANONYMOUS));
  const server = tls.createServer({
    ...secureContext(options.identity.current),
    ALPNProtocols: ['h2'],
    requestCert: true,
    // The chain is judged below, per trust domain; OpenSSL's one pool of roots could not.
    rejectUnauthorized: false,
    handshakeTimeout: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
  });
  server.maxConnections = most;
  server.on('drop', () => options.log.warn('Connection refused', { error: 'too many connections' }));
  server.on('connection', (socket) => {
    const key = remoteOf(socket);
    handshakes.add(key, socket);
    socket.once('close', () => handshakes.delete(key));
  });
  server.on('secureConnection', (socket) => {
    handshakes.delete(remoteOf(socket));
    accept(socket, options, { sockets, anonymous });
  });
  server.on('tlsClientError', (error, socket) => {
    options.log.debug('TLS handshake failed', { caller_addr: socket.remoteAddress, error });
    socket.destroy();
  });
  const unsubscribe = options.identity.subscribe((identity) => server.setSecureContext(secureContext(identity)));
  const port = await listen(server, options);
  server.on('error', (error) => options.log.error('Listener failed', { error }));
  return {
    port,
    async close() {
      unsubscribe();
      const closed = new Promise((resolve) => server.close(resolve));
      handshakes.clear();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Everything is repeated on each rotation, since `setSecureContext` resets whatever it is not given. */
function secureContext(identity: TlsIdentity): tls.SecureContextOptions {
  return {
    cert: certificatesToPem(identity.chain),
    key: identity.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    // An empty list keeps the public roots out and sends no hints about acceptable authorities.
    ca: [],
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}

/** A connection and the TLS socket made of it have the same. */
function remoteOf({ remoteAddress, remotePort }: net.Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Who is connected. */
interface Connected {
  readonly sockets: Set<tls.TLSSocket>;
  readonly anonymous: Crowd<tls.TLSSocket>;
}

function accept(socket: tls.TLSSocket, options: TlsListenerOptions, { sockets, anonymous }: Connected): void {
  const address = (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, '');
  socket.on('error', (error) => options.log.debug('Connection failed', { caller_addr: address, error }));
  try {
    if (socket.alpnProtocol !== 'h2') throw new FinialError('failed-precondition', 'client does not speak HTTP/2');
    const chain = presentedChain(socket.getPeerCertificate(true));
    const certificate = chain.length === 0 ? undefined : options.verifyPeer(chain);
    sockets.add(socket);
    const key = remoteOf(socket);
    if (certificate === undefined) anonymous.add(key, socket);
    socket.once('close', () => {
      sockets.delete(socket);
      anonymous.delete(key);
    });
    options.onSocket(socket, { transport: 'tcp', address, port: socket.remotePort ?? 0, certificate });
  } catch (error) {
    options.log.warn('Connection refused', { caller_addr: address, error: messageOf(error) });
    socket.destroy();
  }
}

function listen(server: tls.Server, { host, port }: TlsListenerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'another process is listening there' : (error.code ?? error.message);
      reject(new FinialError('failed-precondition', `cannot listen on ${host}:${port}: ${why}`, { cause: error }));
    });
    server.listen({ host, port, backlog: LISTEN_BACKLOG }, () => {
      server.removeAllListeners('error');
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
