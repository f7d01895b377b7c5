import { type DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { FinialError } from '../../common/errors.ts';
import { presentedChain } from '../../common/net/presented-chain.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { type SpiffeId, trustDomainOf } from '../../spiffe/id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { type VerifiedX509Svid, verifyX509Svid } from '../../spiffe/x509/verify.ts';
import { type Authorize, requireAuthorized } from '../authorize.ts';
import type { X509BundleProvider, X509Bundles } from '../source.ts';

/** The other end of a connection, as its certificate and the bundle of its own trust domain prove. */
export interface VerifiedPeer {
  readonly id: SpiffeId;
  readonly trustDomain: TrustDomain;
  /** DER, leaf first, as presented, but without the root. */
  readonly chain: readonly Buffer[];
  /** DER of the authority, out of the bundle of `trustDomain`, that vouches for it. */
  readonly authority: Buffer;
  /** When the leaf expires, Unix milliseconds. */
  readonly notAfter: number;
}

/** What a peer is judged by. */
export interface PeerVerification {
  /** Read anew for each peer, so that a bundle that was withdrawn counts no more. */
  readonly bundles: X509BundleProvider;
  readonly authorize: Authorize;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/**
 * Judges the certificate that the other end of a TLS connection presented: chain, validity and usage by the bundle of
 * the trust domain that the leaf names, and by no other; then whether this peer may be talked to.
 *
 * @throws FinialError `unauthenticated`, or `permission-denied` for a good peer that is not authorized
 */
export function verifyPeer(
  certificate: DetailedPeerCertificate | undefined,
  { bundles, authorize, now }: PeerVerification,
): VerifiedPeer {
  const chain = presentedChain(certificate);
  if (chain.length === 0) throw new FinialError('unauthenticated', 'peer presented no certificate');
  return verifyChain(chain, { bundles, authorize, now });
}

/**
 * As `verifyPeer`, for a chain that is at hand already, such as that of an open connection which is judged anew.
 *
 * @param chain DER, leaf first
 * @throws FinialError as `verifyPeer`
 */
export function verifyChain(chain: readonly Buffer[], { bundles, authorize, now }: PeerVerification): VerifiedPeer {
  const { id, leaf, path } = proven(chain, bundles.x509Bundles, now());
  requireAuthorized(authorize, id);
  const authority = path.at(-1) ?? leaf;
  // Node appends to what a server presented the root that OpenSSL found for it.
  const isRoot = (der: Buffer): boolean => authority.subject.equals(authority.issuer) && der.equals(authority.der);
  return Object.freeze({
    id,
    trustDomain: trustDomainOf(id),
    chain: Object.freeze(chain.filter((der) => !isRoot(der))),
    authority: authority.der,
    notAfter: leaf.notAfter,
  });
}

function proven(chain: readonly Buffer[], bundles: X509Bundles, now: number): VerifiedX509Svid {
  try {
    return verifyX509Svid(chain, (trustDomain) => bundles.get(trustDomain), now);
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    // Whatever is wrong with it, the peer's certificate proves nothing; no argument of the caller is at fault.
    throw new FinialError('unauthenticated', error.message, { cause: error });
  }
}

/** What this library verified, by socket or HTTP/2 session. A WeakMap, as nobody else may write to it. */
const verified = new WeakMap<object, VerifiedPeer>();

/**
 * Leads from what stands in for a socket to the socket. HTTP/2 shows its sockets only behind proxies, which are no keys of
 * a WeakMap but route whatever is read to the socket (https://nodejs.org/api/http2.html#http2sessionsocket).
 */
const itself = Symbol('the socket itself');

/** Only called once `verifyPeer` has accepted. */
export function rememberPeer(connection: object, peer: VerifiedPeer): void {
  verified.set(connection, peer);
  if (connection instanceof TLSSocket && !Object.hasOwn(connection, itself)) {
    Object.defineProperty(connection, itself, { value: connection });
  }
}

/**
 * Who is at the other end of a connection that this library made or accepted.
 *
 * @param owner anything that belongs to the connection: a TLS socket, a request or response of http, https or http2, a
 * stream or session of http2
 * @throws FinialError `unauthenticated` when this library has not verified that connection
 */
export function peerOf(owner: object): VerifiedPeer {
  const peer = verifiedPeer(owner);
  if (peer === undefined) throw new FinialError('unauthenticated', 'the peer of this connection was not verified');
  return peer;
}

/** As `peerOf`; undefined where nothing was verified. */
export function verifiedPeer(owner: object): VerifiedPeer | undefined {
  for (const connection of connectionsOf(owner)) {
    const peer = verified.get(connection);
    if (peer !== undefined) return peer;
  }
  return undefined;
}

/** The SPIFFE ID of `peerOf`. @throws FinialError `unauthenticated` */
export function peerIdOf(owner: object): SpiffeId {
  return peerOf(owner).id;
}

/** The owner, and the connections that it belongs to. Sessions of HTTP/2 are known by themselves, and outlive their sockets. */
function connectionsOf(owner: object): object[] {
  const stream = property(owner, 'stream');
  const candidates = [owner, property(owner, 'session'), property(stream, 'session'), property(owner, 'socket')];
  return candidates.flatMap((one) => (one === undefined ? [] : [one, property(one, itself) ?? one]));
}

function property(from: object | undefined, name: string | symbol): object | undefined {
  if (from === undefined) return undefined;
  try {
    const value: unknown = Reflect.get(from, name);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch (error) {
    // The proxy of a socket whose HTTP/2 session is over leads nowhere.
    if (error instanceof Error && 'code' in error && error.code === 'ERR_HTTP2_SOCKET_UNBOUND') return undefined;
    throw error;
  }
}
