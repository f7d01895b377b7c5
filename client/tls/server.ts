import type net from 'node:net';
import tls from 'node:tls';
import { FinialError, toFinialError } from '../../common/errors.ts';
import type { Authorize } from '../authorize.ts';
import type { X509BundleProvider, X509SvidProvider } from '../source.ts';
import { type Certificate, certificateOf, contextOptions, svidToPresent } from './context.ts';
import { rememberPeer, type VerifiedPeer, verifyPeer } from './peer.ts';
import { watchPeer } from './watch.ts';

/** Where a server's identity and its bundles come from: an X509Source, or a BundleSource and a `certificate`. */
export type ServerSource = X509BundleProvider & Partial<X509SvidProvider>;

/** Who is admitted, and as whom the server presents itself. */
export interface TlsServerOptions {
  /** Which clients are admitted. */
  readonly authorize: Authorize;
  /** `none` asks clients for no certificate and admits everybody, nameless; `authorize` is then not asked. */
  readonly clientAuthentication?: 'required' | 'none';
  /** Presented instead of the X509-SVID, for clients that verify by public authorities and host names. Read per connection. */
  readonly certificate?: () => Certificate;
  /** Hears of each client that was turned away, and why. */
  readonly onRefused?: (error: FinialError) => void;
  /** 10 seconds unless said otherwise. */
  readonly handshakeTimeoutMs?: number;
  /** Connections beyond so many unfinished handshakes are closed at once. 2048 unless said otherwise. */
  readonly maxPendingHandshakes?: number;
  /**
   * Ends a connection as soon as its client would not be admitted any more: its X509-SVID has expired, its authority was
   * withdrawn. Off unless said otherwise, as TLS judges only once, and clients rotate without dropping connections.
   */
  readonly closeWhenInvalid?: boolean;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

const HANDSHAKE_MS = 10_000;
const MOST_PENDING = 2048;

/**
 * Options for the constructor of a server that `admitOnlyVerified` then guards. Without the guard they admit nobody: there
 * is no authority in them, and whoever has no chain to one is turned away.
 *
 * @throws FinialError when there is no identity to present
 */
export function tlsServerOptions(source: ServerSource, options: TlsServerOptions): tls.TlsOptions {
  const { clientAuthentication = 'required', handshakeTimeoutMs = HANDSHAKE_MS } = options;
  return {
    ...contextOptions(presented(source, options)),
    // Sent to clients as the list of acceptable authorities: an empty one lets each choose for itself.
    ca: [],
    requestCert: clientAuthentication === 'required',
    rejectUnauthorized: true,
    handshakeTimeout: handshakeTimeoutMs,
  };
}

/**
 * Puts the judgement in front of a TLS server of any kind (`tls`, `https`, `http2`): nobody hears of a connection, and no
 * byte of it is parsed, before its client was verified and authorized. Before each handshake the newest X509-SVID is
 * taken up; without a valid one no handshake begins. Open connections are left alone, and nothing outlives the server.
 *
 * A socket that was admitted has a listener for `error`, so that a reset does not end the process; its end is told by
 * `close`.
 *
 * @param server one that was made with `tlsServerOptions`
 * @returns the server
 */
export function admitOnlyVerified<S extends tls.Server>(server: S, source: ServerSource, options: TlsServerOptions): S {
  const { onRefused = () => undefined, maxPendingHandshakes = MOST_PENDING } = options;
  const emit = server.emit.bind(server) as (event: string | symbol, ...args: unknown[]) => boolean;
  const takeUpCertificate = certificateTaker(server, source, options);
  let pending = 0;
  const begin = (raw: net.Socket): boolean => {
    try {
      if (pending >= maxPendingHandshakes) {
        throw new FinialError('resource-exhausted', 'too many TLS handshakes are under way');
      }
      takeUpCertificate();
    } catch (error) {
      raw.destroy();
      onRefused(toFinialError(error));
      return true;
    }
    pending += 1;
    return emit('connection', raw);
  };
  const admit = (socket: tls.TLSSocket): boolean => {
    pending -= 1;
    socket.on('error', () => undefined);
    try {
      admitOne(socket, source, options);
    } catch (error) {
      socket.destroy();
      onRefused(toFinialError(error));
      return true;
    }
    return emit('secureConnection', socket);
  };
  const fail = (error: Error, socket: tls.TLSSocket): boolean => {
    pending -= 1;
    onRefused(new FinialError('unauthenticated', `TLS handshake failed: ${error.message}`, { cause: error }));
    emit('tlsClientError', error, socket);
    // Node does not end what was only too slow.
    socket.destroy();
    return true;
  };
  // Listeners come and go, and each would be one that might run before the judgement; this is where all of them are told.
  // Of each handshake that begins, Node tells exactly one of the other two events.
  server.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    if (event === 'secureConnection') return admit(args[0] as tls.TLSSocket);
    if (event === 'connection') return begin(args[0] as net.Socket);
    if (event === 'tlsClientError') return fail(args[0] as Error, args[1] as tls.TLSSocket);
    return emit(event, ...args);
  };
  // From here on the guard judges, by the bundle of each client's own trust domain; OpenSSL knows only one pool of roots.
  Object.assign(server, { rejectUnauthorized: false });
  return server;
}

/** @throws FinialError for a client that is not admitted */
function admitOne(socket: tls.TLSSocket, source: ServerSource, options: TlsServerOptions): void {
  const { clientAuthentication = 'required', closeWhenInvalid = false } = options;
  if (clientAuthentication === 'none') return;
  rememberPeer(socket, judge(socket, source, options));
  // Express applications and others look here; OpenSSL had no authority to find it out by.
  Object.assign(socket, { authorized: true, authorizationError: null });
  if (closeWhenInvalid) watchPeer(socket, source, options);
}

/** A TLS 1.3 client may finish its side and hang up before we get to look. */
function judge(
  socket: tls.TLSSocket,
  source: ServerSource,
  { authorize, now = Date.now }: TlsServerOptions,
): VerifiedPeer {
  if (socket.isSessionReused()) throw new FinialError('unauthenticated', 'TLS sessions are not resumed here');
  return verifyPeer(socket.getPeerCertificate(true), { bundles: source, authorize, now });
}

/** Gives the server a new context whenever there is something new to present. */
function certificateTaker(server: tls.Server, source: ServerSource, options: TlsServerOptions): () => void {
  let current: Certificate | undefined;
  return () => {
    const next = presented(source, options);
    if (next.cert === current?.cert && next.key === current.key) return;
    // All of it: what is left out goes back to Node's defaults, session tickets among them.
    server.setSecureContext({ ...contextOptions(next), ca: [] });
    current = next;
  };
}

/** The same object for the same X509-SVID, so that a change is easily told. */
function presented(source: ServerSource, { certificate, now = Date.now }: TlsServerOptions): Certificate {
  return certificate === undefined ? certificateOf(svidToPresent(source, now())) : certificate();
}

/**
 * A TLS server that presents the source's current X509-SVID and admits only verified, authorized clients.
 *
 * @param onConnection called once the handshake is over and done with
 * @param more further options of `tls.createServer`; those about certificates are ours. `noDelay` is on unless said
 *   otherwise, or the first reply would wait for the client to acknowledge the end of the handshake (40 ms)
 * @throws FinialError when there is no identity to present
 */
export function createTlsServer(
  source: ServerSource,
  options: TlsServerOptions,
  onConnection: (socket: tls.TLSSocket) => void,
  more: Pick<tls.TlsOptions, 'ALPNProtocols' | 'allowHalfOpen' | 'noDelay' | 'keepAlive' | 'pauseOnConnect'> = {},
): tls.Server {
  const server = tls.createServer({ noDelay: true, ...more, ...tlsServerOptions(source, options) });
  // Node tells of a connection from inside of OpenSSL's handshake. Whoever ends it right there ends it without a
  // close_notify, which the other end must take for a reply that was cut off.
  server.on('secureConnection', (socket) => setImmediate(() => socket.destroyed || onConnection(socket)));
  return admitOnlyVerified(server, source, options);
}
