import type tls from 'node:tls';
import { FinialError, toFinialError } from '../../common/errors.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import type { Authorize } from '../authorize.ts';
import type { X509BundleProvider, X509SvidProvider } from '../source.ts';
import { heldClientContext, svidToPresent } from './context.ts';
import { CONNECT_TIMEOUT_MS, keptApart, openTls, type TlsJudgement, type TlsTarget } from './handshake.ts';
import { peerOf, rememberPeer, type VerifiedPeer, verifyPeer } from './peer.ts';
import { rootsFor, settledRoots, settleRoot } from './roots.ts';
import { watchPeer } from './watch.ts';

/** Where a client's identity and its bundles come from: an X509Source, or a BundleSource to present no identity. */
export type ClientSource = X509BundleProvider & Partial<X509SvidProvider>;

/** How a server is judged, and what it is shown. */
export interface TlsClientOptions {
  /** Which servers may be talked to. Names in certificates, DNS names above all, are not looked at. */
  readonly authorize: Authorize;
  /** `none` shows the server no certificate. The X509-SVID of the source, if it has any, unless said otherwise. */
  readonly present?: 'svid' | 'none';
  /**
   * Ends a connection as soon as its server would not be accepted any more: its X509-SVID has expired, its authority was
   * withdrawn. Off unless said otherwise, as TLS judges only once, and servers rotate without dropping connections.
   */
  readonly closeWhenInvalid?: boolean;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

/** One connection. */
export interface ConnectOptions extends TlsClientOptions, TlsTarget {}

/** A connection whose other end has proved to be `peerId`. */
export interface TlsConnection {
  readonly socket: tls.TLSSocket;
  readonly peerId: SpiffeId;
}

/** Each attempt but the last has taught which root the server goes by; several servers may stand behind one address. */
const MOST_ATTEMPTS = 3;

/**
 * Connects, presenting the current X509-SVID, and resolves once the server has proved who it is. Not a byte of the
 * application is sent before. With TLS 1.3 the server judges later than that: if it refuses, the connection is closed.
 *
 * The socket has a listener for `error`, so that a reset does not end the process; its end is told by `close`.
 *
 * @throws FinialError `permission-denied` for a server that is not authorized, `unauthenticated` for one that cannot
 * prove itself, `unavailable` when there is no connection or no identity, `deadline-exceeded`, `cancelled`
 */
export async function connectTls(source: ClientSource, options: ConnectOptions): Promise<TlsConnection> {
  const deadline = performance.now() + (options.timeoutMs ?? CONNECT_TIMEOUT_MS);
  let roots = settledRoots(source, rootsFor(source.x509Bundles, options.authorize.trustDomains));
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await tryToConnect(source, options, roots, deadline - performance.now());
    if ('socket' in outcome) {
      const { socket } = outcome;
      if (options.closeWhenInvalid === true) watchPeer(socket, source, options);
      return { socket, peerId: peerOf(socket).id };
    }
    settleRoot(source, outcome.authority);
    // A connection that was there already serves one handshake only; whoever made it will profit when it makes another.
    if (attempt === MOST_ATTEMPTS || options.socket !== undefined) throw outcome.error;
    roots = [outcome.authority];
  }
}

type Outcome =
  | { readonly socket: tls.TLSSocket }
  /** OpenSSL refused a server that `authority` vouches for. */
  | { readonly authority: Buffer; readonly error: FinialError };

/** @throws FinialError when the server is not reached, or is refused by our own judgement, whose reasons are better */
async function tryToConnect(
  source: ClientSource,
  options: ConnectOptions,
  roots: readonly Buffer[],
  timeoutMs: number,
): Promise<Outcome> {
  const { authorize, now = Date.now } = options;
  let peer: VerifiedPeer | undefined;
  let presented: tls.DetailedPeerCertificate | undefined;
  const judgement = {
    ...judged(source, options, (found) => (peer = found)),
    secureContext: contextFor(source, options, roots),
  };
  try {
    const socket = await openTls(
      options,
      judgement,
      timeoutMs,
      (shown) => (presented = shown.getPeerCertificate(true)),
    );
    if (peer === undefined || socket.isSessionReused()) {
      socket.destroy();
      throw new FinialError('unauthenticated', 'the server was not verified');
    }
    rememberPeer(socket, peer);
    return { socket };
  } catch (thrown) {
    const error = toFinialError(thrown);
    if (presented === undefined || error.code !== 'unauthenticated') throw error;
    const { authority } = verifyPeer(presented, { bundles: source, authorize, now });
    return { authority, error };
  }
}

/**
 * Options for `tls.connect`, `https.request` and whatever hands its options on to them, such as the `ssl` of `pg`. Both
 * context and judgement are read for each connection, so one object serves through rotations if it is handed on as it is:
 * a copy of it (`{ ...options }`) goes on presenting the identity of when it was made.
 *
 * Where possible prefer `connectTls` or an agent: only they know the peer's ID afterwards, and cope with roots that share
 * a name and have no key identifiers.
 *
 * @throws FinialError when it is read and there is no identity or no bundle
 */
export function tlsClientOptions(source: ClientSource, options: TlsClientOptions): tls.ConnectionOptions {
  return {
    ...judged(source, options, () => undefined),
    get secureContext() {
      return contextFor(
        source,
        options,
        settledRoots(source, rootsFor(source.x509Bundles, options.authorize.trustDomains)),
      );
    },
    ...keptApart(),
  };
}

function contextFor(source: ClientSource, options: TlsClientOptions, roots: readonly Buffer[]): tls.SecureContext {
  const { present = 'svid' in source ? 'svid' : 'none', now = Date.now } = options;
  return heldClientContext(source, present === 'svid' ? svidToPresent(source, now()) : undefined, roots);
}

/** Runs in every handshake, after OpenSSL found some chain to some root. */
function judged(
  source: ClientSource,
  { authorize, now = Date.now }: TlsClientOptions,
  accept: (peer: VerifiedPeer) => void,
): Pick<TlsJudgement, 'rejectUnauthorized' | 'checkServerIdentity'> {
  return {
    // Said outright, as an environment variable of Node changes what holds without it.
    rejectUnauthorized: true,
    checkServerIdentity(_host, certificate) {
      try {
        accept(verifyPeer(certificate as tls.DetailedPeerCertificate, { bundles: source, authorize, now }));
        return undefined;
      } catch (error) {
        return toFinialError(error);
      }
    },
  };
}
