import type { DetailedPeerCertificate } from 'node:tls';
import { FinialError } from '../errors.ts';

/** A peer presents its leaf and intermediates; more than this is an attempt to keep us busy. */
const LONGEST_CHAIN = 16;

/**
 * The certificates that the other end of a TLS connection sent, DER, leaf first.
 *
 * @param leaf what `socket.getPeerCertificate(true)` gives; without a certificate that is empty or, unlike Node's types
 *   have it, undefined
 * @throws FinialError `unauthenticated` when there are more than 16
 */
export function presentedChain(leaf: DetailedPeerCertificate | undefined): Buffer[] {
  const chain: Buffer[] = [];
  const seen = new Set<string>();
  let next = leaf;
  // The last one names itself as its issuer.
  while (next?.raw !== undefined && !seen.has(next.fingerprint256)) {
    if (chain.length === LONGEST_CHAIN) {
      throw new FinialError('unauthenticated', `certificate chain is longer than ${LONGEST_CHAIN}`);
    }
    seen.add(next.fingerprint256);
    chain.push(next.raw);
    next = next.issuerCertificate;
  }
  return chain;
}
