import type { KeyObject } from 'node:crypto';
import type { FinialError } from '../common/errors.ts';
import type { JwtAuthority } from '../spiffe/bundle/bundle.ts';
import type { SpiffeId } from '../spiffe/id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';

/** An X.509 identity of this process. */
export interface X509Svid {
  readonly id: SpiffeId;
  /** DER, leaf first, without the root. */
  readonly chain: readonly Buffer[];
  readonly privateKey: KeyObject;
  /** Unix milliseconds. */
  readonly notBefore: number;
  /** Unix milliseconds. */
  readonly notAfter: number;
  /** What the operator calls this identity; empty when it has no name. */
  readonly hint: string;
}

/** The certificates (DER) that verify the X509-SVIDs of each trust domain. Never pooled: each verifies only its own. */
export type X509Bundles = ReadonlyMap<TrustDomain, readonly Buffer[]>;

/** The public keys that verify the JWT-SVIDs of each trust domain. */
export type JwtBundles = ReadonlyMap<TrustDomain, readonly JwtAuthority[]>;

/** What every source has in common. A source is ready when it is handed out, and rotates by itself until closed. */
export interface Source extends Disposable {
  /** Calls back after each update until the returned function is called. A listener that throws hurts nobody else. */
  onUpdate(listener: () => void): () => void;
  /** Hears of lost streams, refused messages and lost identities until the returned function is called. */
  onError(listener: (error: FinialError) => void): () => void;
  /** Stops following the agent. Everything read afterwards fails with `unavailable`. */
  close(): void;
}

/** Where X.509 authorities come from: an X509Source, a BundleSource, or a fixed list. Read anew for each peer. */
export interface X509BundleProvider {
  /** @throws FinialError when there are none any more */
  readonly x509Bundles: X509Bundles;
}

/** Where JWT authorities come from. */
export interface JwtBundleProvider {
  /** @throws FinialError when there are none any more */
  readonly jwtBundles: JwtBundles;
}

/** Where the identity that is presented comes from. Read anew for each connection. */
export interface X509SvidProvider {
  /** @throws FinialError when there is none any more, or it has expired */
  readonly svid: X509Svid;
  onUpdate(listener: () => void): () => void;
}
