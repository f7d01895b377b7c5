import type { Closable } from '../../common/lifecycle.ts';
import type { JwtAuthority, X509Authority } from '../../spiffe/bundle/bundle.ts';

/** An X.509 CA that an upstream signed for this server. */
export interface MintedX509Ca {
  /** DER, the new CA certificate first, then its issuers up to but without the root. */
  readonly chain: readonly Buffer[];
  /**
   * The upstream's roots: the current ones first, then each later set. Ends when `signal` of the mint call aborts.
   */
  readonly roots: AsyncIterable<readonly X509Authority[]>;
}

/** Signs this server's CA, so that several servers share a root. */
export interface UpstreamAuthority extends Partial<Closable> {
  /**
   * @param request.csr DER of the PKCS#10 request
   * @param request.preferredTtl seconds; 0 lets the upstream choose
   */
  mintX509Ca(
    request: { readonly csr: Buffer; readonly preferredTtl: number },
    signal: AbortSignal,
  ): Promise<MintedX509Ca>;
  /**
   * Publishes a JWT key upstream; yields all JWT keys of the trust domain, now and after each change. Absent when the
   * upstream keeps no JWT keys: the server then keeps its own.
   */
  publishJwtKey?(key: JwtAuthority, signal: AbortSignal): AsyncIterable<readonly JwtAuthority[]>;
}
