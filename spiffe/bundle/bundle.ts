import type { TrustDomain } from '../trust-domain.ts';

/** A root or intermediate certificate that a trust domain's X509-SVIDs chain up to. */
export interface X509Authority {
  /** DER of one certificate. */
  readonly certificate: Buffer;
  /** Set when the key must no longer be trusted for new SVIDs; holders of SVIDs under it rotate at once. */
  readonly tainted: boolean;
}

/** A public key that verifies a trust domain's JWT-SVIDs or WIT-SVIDs. */
export interface JwtAuthority {
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
  readonly keyId: string;
  /** Unix seconds; 0 when the key does not expire. */
  readonly expiresAt: number;
  readonly tainted: boolean;
}

/** Everything that verifies the SVIDs of one trust domain (SPIFFE Trust Domain and Bundle 4). */
export interface Bundle {
  readonly trustDomain: TrustDomain;
  readonly x509Authorities: readonly X509Authority[];
  readonly jwtAuthorities: readonly JwtAuthority[];
  readonly witAuthorities: readonly JwtAuthority[];
  /** Seconds between polls that the issuer suggests; 0 when it suggests none. */
  readonly refreshHint: number;
  /** Grows with each change of content. A uint64 on the wire, hence a bigint. */
  readonly sequenceNumber: bigint;
}

/**
 * A bundle as a value: nobody can change it, and it shares no list with `parts`. The Buffers are shared, and nobody here
 * writes into one.
 */
export function frozenBundle(parts: Bundle): Bundle {
  const { trustDomain, x509Authorities, jwtAuthorities, witAuthorities, refreshHint, sequenceNumber } = parts;
  return Object.freeze({
    trustDomain,
    x509Authorities: frozenList(x509Authorities),
    jwtAuthorities: frozenList(jwtAuthorities),
    witAuthorities: frozenList(witAuthorities),
    refreshHint,
    sequenceNumber,
  });
}

function frozenList<A extends object>(list: readonly A[]): readonly A[] {
  // What is frozen already stays the same object, by which imported keys are remembered.
  return Object.freeze(list.map((one) => (Object.isFrozen(one) ? one : Object.freeze({ ...one }))));
}

/** The bundle of a trust domain that has no authorities: nothing of that trust domain is trusted. */
export function emptyBundle(trustDomain: TrustDomain): Bundle {
  return frozenBundle({
    trustDomain,
    x509Authorities: [],
    jwtAuthorities: [],
    witAuthorities: [],
    refreshHint: 0,
    sequenceNumber: 0n,
  });
}
