import tls from 'node:tls';
import { FinialError, toFinialError } from '../../common/errors.ts';
import type { Authorize } from '../authorize.ts';
import type { X509BundleProvider, X509SvidProvider } from '../source.ts';
import { type Certificate, certificateOf, contextOptions } from './context.ts';
import { rememberPeer, verifyPeer } from './peer.ts';

/** Where a server's identity and its bundles come from: an X509Source. */
export type ServerSource = Pick<X509SvidProvider, 'svid'> & X509BundleProvider;

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
  /** Unix milliseconds. */
  readonly now?: () => number;
}

const HANDSHAKE_MS = 10_000;

/**
 * Options for the constructor of a server that `admitOnlyVerified` then guards. Without the guard they admit nobody: there
 * is no authority in them, and whoever has no chain to one is turned away.
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
 * taken up; without a valid one no handshake begins. Open connections are left alone.
 *
 * @returns the server
 */
export function admitOnlyVerified<S extends tls.Server>(server: S, source: ServerSource, options: TlsServerOptions): S {
  const { onRefused = () => undefined, clientAuthentication = 'required' } = options;
  let current: Certificate | undefined;
  const takeUpCertificate = (): void => {
    const certificate = presented(source, options);
    if (certificate === current) return;
    server.setSecureContext({ ...contextOptions(certificate), ca: [] });
    current = certificate;
  };
  const emit = server.emit.bind(server) as (event: string | symbol, ...args: unknown[]) => boolean;
  const admit = (socket: tls.TLSSocket): boolean => {
    socket.on('error', (error) => onRefused(toFinialError(error)));
    try {
      if (clientAuthentication === 'required') rememberPeer(socket, judge(socket, source, options));
    } catch (error) {
      onRefused(toFinialError(error));
      socket.destroy();
      return true;
    }
    return emit('secureConnection', socket);
  };
  server.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    if (event === 'secureConnection') return admit(args[0] as tls.TLSSocket);
    if (event === 'connection') {
      try {
        takeUpCertificate();
      } catch (error) {
        onRefused(toFinialError(error));
        (args[0] as { destroy(): void }).destroy();
        return true;
      }
    }
    return emit(event, ...args);
  };
  server.on('tlsClientError', (error) => onRefused(toFinialError(error)));
  // From here on the guard judges, by the bundle of each client's own trust domain; OpenSSL knows only one pool of roots.
  Object.assign(server, { rejectUnauthorized: false });
  return server;
}

/** A TLS 1.3 client may finish its side and hang up before we get to look. */
function judge(socket: tls.TLSSocket, source: ServerSource, { authorize, now = Date.now }: TlsServerOptions) {
  if (socket.isSessionReused()) throw new FinialError('unauthenticated', 'TLS sessions are not resumed here');
  return verifyPeer(socket.getPeerCertificate(true), { bundles: source, authorize, now });
}

/** The same object for the same X509-SVID, so that a change is easily told. */
function presented(source: ServerSource, { certificate }: TlsServerOptions): Certificate {
  return certificate === undefined ? certificateOf(source.svid) : certificate();
}

/**
 * A TLS server that presents the source's current X509-SVID and admits only verified, authorized clients.
 *
 * @param more further options of `tls.createServer`; those about certificates are ours
 */
export function createTlsServer(
  source: ServerSource,
  options: TlsServerOptions,
  onConnection: (socket: tls.TLSSocket) => void,
  more: Pick<tls.TlsOptions, 'ALPNProtocols' | 'allowHalfOpen' | 'noDelay' | 'keepAlive' | 'pauseOnConnect'> = {},
): tls.Server {
  const server = tls.createServer({ ...more, ...tlsServerOptions(source, options) });
  server.on('secureConnection', onConnection);
  return admitOnlyVerified(server, source, options);
}
