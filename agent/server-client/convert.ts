import { FinialError } from '../../common/errors.ts';
import type { Bundle__Output } from '../../proto/gen/spire/api/types/Bundle.ts';
import type { Entry__Output } from '../../proto/gen/spire/api/types/Entry.ts';
import type { SPIFFEID__Output } from '../../proto/gen/spire/api/types/SPIFFEID.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { type SpiffeId, spiffeId } from '../../spiffe/id.ts';
import { selector } from '../../spiffe/selector.ts';
import { parseTrustDomain, type TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificates } from '../../spiffe/x509/certificate.ts';
import type { AgentEntry } from './contract.ts';

/** @throws SpiffeError or FinialError naming what is missing */
export function idFromProto(id: SPIFFEID__Output | null): SpiffeId {
  if (id === null) throw new FinialError('internal', 'the SPIFFE ID is missing');
  return spiffeId(parseTrustDomain(id.trust_domain), id.path);
}

/** @throws SpiffeError or FinialError when the entry cannot be used; the message holds no selector */
export function entryFromProto(entry: Entry__Output): AgentEntry {
  if (entry.id === '') throw new FinialError('internal', 'the entry has no ID');
  if (entry.selectors.length === 0) throw new FinialError('internal', 'the entry has no selectors');
  const attributes = entry.additional_attributes;
  return Object.freeze({
    id: entry.id,
    spiffeId: idFromProto(entry.spiffe_id),
    selectors: entry.selectors.map(({ type, value }) => selector(type, value)),
    federatesWith: entry.federates_with.map((name) => parseTrustDomain(name)),
    admin: entry.admin,
    downstream: entry.downstream,
    revisionNumber: Number(entry.revision_number),
    storeSvid: entry.store_svid,
    hint: entry.hint,
    createdAt: Number(entry.created_at),
    ...(attributes && {
      additionalAttributes: {
        disableX509SvidPrefetch: attributes.disable_x509_svid_prefetch,
        jwtSvidIncludeJti: attributes.jwt_svid_include_jti,
      },
    }),
  });
}

/**
 * @param expected the trust domain that was asked about
 * @throws SpiffeError or FinialError when it is another one's, or an authority cannot be read
 */
export function bundleFromProto(bundle: Bundle__Output, expected: TrustDomain): Bundle {
  const trustDomain = parseTrustDomain(bundle.trust_domain);
  if (trustDomain !== expected) {
    throw new FinialError('internal', `the server sent the bundle of "${trustDomain}" instead of "${expected}"`);
  }
  return Object.freeze({
    trustDomain,
    x509Authorities: bundle.x509_authorities.flatMap(({ asn1, tainted }) =>
      parseCertificates(asn1).map(({ der }) => ({ certificate: der, tainted })),
    ),
    jwtAuthorities: bundle.jwt_authorities.map((key) => ({
      publicKey: key.public_key,
      keyId: key.key_id,
      expiresAt: Number(key.expires_at),
      tainted: key.tainted,
    })),
    witAuthorities: [],
    refreshHint: Number(bundle.refresh_hint),
    sequenceNumber: BigInt(bundle.sequence_number),
  });
}
