import tls from 'node:tls';
import type net from 'node:net';
import { FinialError, messageOf, toFinialError } from '../../common/errors.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import type { Authorize } from '../authorize.ts';
import type { X509BundleProvider, X509SvidProvider } from '../source.ts';
import { clientContext } from './context.ts';
import { peerOf, rememberPeer, type VerifiedPeer, verifyPeer } from './peer.ts';
import { rootOrders, rootsFor } from './roots.ts';

/** Where a client's identity and its bundles come from: an X509Source. */
export type ClientSource = Pick<X509SvidProvider, 'svid'> & X509BundleProvider;

/** How a server is judged, and what it is shown. */
export interface TlsClientOptions {
  /** Which servers may be talked to. Names in certificates, DNS names above all, are not looked at. */
  readonly authorize: Authorize;
  /** `none` shows the server no certificate. The X509-SVID of the source unless said otherwise. */
  readonly present?: 'svid' | 'none';
  /** Unix milliseconds. */
  readonly now?: () => number;
}

/** One connection. */
export interface ConnectOptions extends TlsClientOptions {
  readonly host?: string;
  readonly port?: number;
  /** A Unix socket instead of host and port. */
  readonly path?: string;
  /** A connection that is already there. */
  readonly socket?: net.Socket;
  /** Sent for routing alone (SNI); nothing is compared with it. */
  readonly servername?: string;
  /** Protocols to offer, such as `h2`. */
  readonly alpn?: readonly string[];
  readonly signal?: AbortSignal;
  /** For connection and handshake together; 10 seconds unless said otherwise. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** A connection whose other end has proved to be `peerId`. */
export interface TlsConnection {
  readonly socket: tls.TLSSocket;
  readonly peerId: SpiffeId;
}

/**
 * Connects, presenting the current X509-SVID, and resolves once the server has proved who it is. Not a byte of the
 * application is sent before.
 *
 * @throws FinialError `permission-denied` for a server that is not authorized, `unauthenticated` for one that cannot
 * prove itself, `unavailable` when there is no connection or no identity, `deadline-exceeded`, `cancelled`
 */
export async function connectTls(source: ClientSource, options: ConnectOptions): Promise<TlsConnection> {
  const { authorize, timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
  const deadline = performance.now() + timeoutMs;
  const orders = rootOrders(rootsFor(source.x509Bundles, authorize.trustDomains));
  let failure: FinialError | undefined;
  // A given connection serves one handshake only.
  for (const roots of options.socket === undefined ? orders : orders.slice(0, 1)) {
    if (signal?.aborted) throw cancelled(signal);
    try {
      const socket = await handshake(source, options, roots, deadline - performance.now());
      return { socket, peerId: peerOf(socket).id };
    } catch (error) {
      failure = toFinialError(error);
      if (!isMisled(failure)) throw failure;
    }
  }
  throw failure ?? new FinialError('internal', 'no handshake was attempted');
}

/** OpenSSL took the wrong one of several roots of one name. */
function isMisled({ cause }: FinialError): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'CERT_SIGNATURE_FAILURE';
}

function handshake(
  source: ClientSource,
  options: ConnectOptions,
  roots: readonly Buffer[],
  timeoutMs: number,
): Promise<tls.TLSSocket> {
  const { host, port, path, socket: given, servername, alpn, signal } = options;
  return new Promise((resolve, reject) => {
    let peer: VerifiedPeer | undefined;
    const socket = tls.connect({
      ...(given === undefined ? (path === undefined ? { host, port } : { path }) : { socket: given }),
      ...judged(source, options, (found) => (peer = found)),
      secureContext: contextFor(source, options, roots),
      ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
      ...(servername === undefined ? {} : { servername }),
    });
    const settle = (error?: FinialError): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.removeListener('error', fail);
      socket.removeListener('close', closed);
      if (error === undefined) return resolve(socket);
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    };
    const abort = (): void => settle(signal === undefined ? undefined : cancelled(signal));
    const fail = (error: Error): void => settle(connectionError(error));
    const closed = (): void => settle(new FinialError('unavailable', 'the server closed the connection'));
    const timer = setTimeout(
      () => settle(new FinialError('deadline-exceeded', `no TLS connection within the time allowed`)),
      Math.max(0, timeoutMs),
    );
    signal?.addEventListener('abort', abort, { once: true });
    socket.once('error', fail).once('close', closed);
    socket.once('secureConnect', () => {
      if (peer === undefined) return settle(new FinialError('unauthenticated', 'the server was not verified'));
      rememberPeer(socket, peer);
      settle();
    });
  });
}

/**
 * Options for `tls.connect`, `https.request` and whatever hands its options on to them, such as the `ssl` of `pg`. Both
 * context and judgement are read for each connection, so one object serves through rotations. Where possible prefer
 * `connectTls` or an agent, as only they know the peer's ID afterwards and settle roots of one name.
 */
export function tlsClientOptions(source: ClientSource, options: TlsClientOptions): tls.ConnectionOptions {
  return {
    ...judged(source, options, () => undefined),
    get secureContext() {
      return contextFor(source, options, rootsFor(source.x509Bundles, options.authorize.trustDomains));
    },
  };
}

function contextFor(source: ClientSource, { present = 'svid' }: TlsClientOptions, roots: readonly Buffer[]) {
  return clientContext(present === 'svid' ? source.svid : undefined, roots);
}

/** Runs in every handshake, after OpenSSL found some chain to some root: no session is ever resumed. */
function judged(source: ClientSource, options: TlsClientOptions, accept: (peer: VerifiedPeer) => void) {
  const { authorize, now = Date.now } = options;
  return {
    // Said outright, as an environment variable of Node changes what holds without it.
    rejectUnauthorized: true,
    checkServerIdentity(_host: string, certificate: tls.PeerCertificate): Error | undefined {
      try {
        accept(verifyPeer(certificate as tls.DetailedPeerCertificate, { bundles: source, authorize, now }));
        return undefined;
      } catch (error) {
        return toFinialError(error);
      }
    },
  };
}

/** OpenSSL's own verdicts have names in capitals; anything else is a matter of the network. */
const NETWORK = /^(E[A-Z]+|UND_ERR.*)$/;

function connectionError(error: Error): FinialError {
  if (error instanceof FinialError) return error;
  const code = 'code' in error ? String(error.code) : '';
  const kind = NETWORK.test(code) && !code.startsWith('ERR_') ? 'unavailable' : 'unauthenticated';
  return new FinialError(kind, `TLS connection failed: ${messageOf(error)}`, { cause: error });
}

function cancelled(signal: AbortSignal): FinialError {
  return new FinialError('cancelled', 'the connection attempt was given up', { cause: signal.reason });
}
