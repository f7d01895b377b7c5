import type { DetailedPeerCertificate } from 'node:tls';
import { FinialError } from '../../common/errors.ts';
import { presentedChain } from '../../common/net/presented-chain.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import type { Authorize } from '../authorize.ts';
import type { X509BundleProvider, X509Bundles } from '../source.ts';

/** The other end of a connection, as its certificate and the bundle of its own trust domain prove. */
export interface VerifiedPeer {
  readonly id: SpiffeId;
  /** DER, leaf first, as presented. */
  readonly chain: readonly Buffer[];
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
  const { x509Bundles } = bundles;
  const id = idOf(chain, x509Bundles, now());
  authorize(id);
  return Object.freeze({ id, chain: Object.freeze(chain) });
}

function idOf(chain: readonly Buffer[], bundles: X509Bundles, now: number): SpiffeId {
  try {
    return verifyX509Svid(chain, (trustDomain) => bundles.get(trustDomain), now).id;
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    // Whatever is wrong with it, the peer's certificate proves nothing; no argument of the caller is at fault.
    throw new FinialError('unauthenticated', error.message, { cause: error });
  }
}

/** What this library verified, by socket or HTTP/2 session. A WeakMap, as nobody else may write to it. */
const verified = new WeakMap<object, VerifiedPeer>();

/** Only called once `verifyPeer` has accepted. */
export function rememberPeer(connection: object, peer: VerifiedPeer): void {
  verified.set(connection, peer);
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

/** HTTP/2 shows its socket only behind a proxy, so there the session stands for the connection. */
function connectionsOf(owner: object): object[] {
  const property = (from: object | undefined, name: string): object | undefined => {
    const value: unknown = from === undefined ? undefined : Reflect.get(from, name);
    return typeof value === 'object' && value !== null ? value : undefined;
  };
  const stream = property(owner, 'stream');
  const candidates = [owner, property(owner, 'session'), property(stream, 'session'), property(owner, 'socket')];
  return candidates.filter((one) => one !== undefined);
}
