import type tls from 'node:tls';
import { type FinialError, withContext } from '../../common/errors.ts';
import type { Authorize } from '../authorize.ts';
import type { X509BundleProvider, X509SvidProvider } from '../source.ts';
import { peerOf, verifyChain } from './peer.ts';

/** What an open connection is judged by, and who hears of its end. */
export interface WatchOptions {
  readonly authorize: Authorize;
  /** Unix milliseconds. */
  readonly now?: () => number;
  readonly onRefused?: (error: FinialError) => void;
}

/** setTimeout counts in 31 bits. */
const LONGEST_WAIT_MS = 2 ** 31 - 1;
/** A clock that stands still must not keep us busy. */
const SHORTEST_WAIT_MS = 1000;

/**
 * Ends a connection once its peer, by what it presented in the handshake, would not be admitted any more: its X509-SVID
 * has expired, the bundle of its trust domain or its authority is gone. Judged when the source is updated, and at the
 * moment of expiry.
 *
 * @param socket one that was verified
 */
export function watchPeer(
  socket: tls.TLSSocket,
  source: X509BundleProvider & Partial<Pick<X509SvidProvider, 'onUpdate'>>,
  { authorize, now = Date.now, onRefused = () => undefined }: WatchOptions,
): void {
  const { chain, trustDomain, authority, notAfter } = peerOf(socket);
  let timer: NodeJS.Timeout | undefined;
  const judge = (): void => {
    try {
      // A full judgement costs signatures; on most updates the authority that vouched is simply still there.
      const authorities = source.x509Bundles.get(trustDomain);
      const stands = now() <= notAfter && authorities?.some((one) => one.equals(authority)) === true;
      if (!stands) verifyChain(chain, { bundles: source, authorize, now });
      arm();
    } catch (error) {
      stop();
      socket.destroy();
      onRefused(withContext('connection ended', error));
    }
  };
  const arm = (): void => {
    clearTimeout(timer);
    const wait = Math.max(SHORTEST_WAIT_MS, notAfter + 1 - now());
    timer = setTimeout(judge, Math.min(wait, LONGEST_WAIT_MS)).unref();
  };
  const unsubscribe = source.onUpdate?.(judge);
  const stop = (): void => {
    clearTimeout(timer);
    unsubscribe?.();
  };
  socket.once('close', stop);
  arm();
}
