import { createPublicKey } from 'node:crypto';
import { FinialError } from '../../../common/errors.ts';
import type { Bundle as BundleMessage } from '../../../proto/gen/spire/api/types/Bundle.ts';
import type { BundleMask__Output } from '../../../proto/gen/spire/api/types/BundleMask.ts';
import type { JWTKey, JWTKey__Output } from '../../../proto/gen/spire/api/types/JWTKey.ts';
import type { X509Certificate__Output } from '../../../proto/gen/spire/api/types/X509Certificate.ts';
import type { Bundle, JwtAuthority, X509Authority } from '../../../spiffe/bundle/bundle.ts';
import { parseCertificates, splitCertificates } from '../../../spiffe/x509/certificate.ts';

/** A bundle as callers see it; the trust domain's name is always there. */
export function bundleToProto(bundle: Bundle, mask: BundleMask__Output | null): BundleMessage {
  const wants = (field: keyof BundleMask__Output): boolean => mask === null || mask[field];
  return {
    trust_domain: bundle.trustDomain,
    ...(wants('x509_authorities') && {
      x509_authorities: bundle.x509Authorities.map(({ certificate, tainted }) => ({ asn1: certificate, tainted })),
    }),
    ...(wants('jwt_authorities') && { jwt_authorities: bundle.jwtAuthorities.map(jwtKeyToProto) }),
    ...(wants('refresh_hint') && { refresh_hint: bundle.refreshHint }),
    ...(wants('sequence_number') && { sequence_number: bundle.sequenceNumber.toString() }),
    ...(wants('wit_authorities') && { wit_authorities: bundle.witAuthorities.map(jwtKeyToProto) }),
  };
}

function jwtKeyToProto({ publicKey, keyId, expiresAt, tainted }: JwtAuthority): JWTKey {
  return { public_key: publicKey, key_id: keyId, expires_at: expiresAt, tainted };
}

/** Each message may hold several certificates. Tainted flags of callers are dropped. @throws SpiffeError or FinialError */
export function x509AuthoritiesFromProto(messages: readonly X509Certificate__Output[]): X509Authority[] {
  return messages.flatMap(({ asn1 }) => {
    // An authority of no certificate would stay in the bundle as one that nobody can read.
    if (parseCertificates(asn1).length === 0) throw new FinialError('invalid-argument', 'certificate is missing');
    return splitCertificates(asn1).map((certificate) => ({ certificate, tainted: false }));
  });
}

/** @throws FinialError `invalid-argument` */
export function jwtAuthoritiesFromProto(messages: readonly JWTKey__Output[]): JwtAuthority[] {
  return messages.map(({ public_key: publicKey, key_id: keyId, expires_at: expiresAt }) => {
    checkPublicKey(publicKey);
    if (keyId === '') throw new FinialError('invalid-argument', 'missing key ID');
    return { publicKey, keyId, expiresAt: Number(expiresAt), tainted: false };
  });
}

function checkPublicKey(spki: Buffer): void {
  try {
    createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch (error) {
    throw new FinialError('invalid-argument', 'malformed public key', { cause: error });
  }
}
