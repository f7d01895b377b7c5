import type { Clock } from '../../common/clock.ts';
import { unixSeconds } from '../../common/clock.ts';
import type { BundleStore } from '../../plugins/datastore/sql/contract.ts';
import type { Key } from '../../plugins/key-manager/contract.ts';
import { trustDomainId } from '../../spiffe/id.ts';
import type { KeyType, Signer } from '../../spiffe/signer.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { type Certificate, parseCertificate } from '../../spiffe/x509/certificate.ts';
import { createCsr } from '../../spiffe/x509/csr.ts';
import { encodeName, type Subject } from '../../spiffe/x509/name.ts';
import {
  type CertificateIssuer,
  caSubject,
  selfSigned,
  selfSignedCaTemplate,
  signCertificate,
} from '../../spiffe/x509/profile.ts';
import { newSerialNumber } from '../../spiffe/x509/serial-number.ts';
import { checkX509Ca } from './check-x509-ca.ts';
import type { X509Record } from './journal/record.ts';
import { type AuthorityKind, type Made, OTHER_KEY } from './rotation.ts';
import type { Upstream } from './upstream.ts';

/** The CA that signs X509-SVIDs now. */
export interface X509CaView {
  /** Lower-case hex of its subject key ID. */
  readonly authorityId: string;
  /** DER. */
  readonly certificate: Buffer;
  /** What the certificate says. */
  readonly details: Certificate;
  /** What follows the leaf in the chain of an SVID: this CA and its issuers without the root; empty when self-signed. */
  readonly chain: readonly Buffer[];
  readonly signer: Signer;
  /** What `signCertificate` needs. */
  readonly issuer: CertificateIssuer;
  /** Unix seconds, by the clock of this server. */
  readonly issuedAt: number;
  /** Unix seconds; nothing that it signs outlives it. */
  readonly notAfter: number;
}

/** What a CA is made of, and who signs it. */
export interface X509CaDeps {
  readonly trustDomain: TrustDomain;
  readonly clock: Clock;
  /** Random bytes. */
  readonly random: (size: number) => Buffer;
  readonly keyType: KeyType;
  /** Milliseconds that a CA is valid; an upstream may choose less. */
  readonly ttl: number;
  readonly subject: Subject;
  readonly bundles: Pick<BundleStore, 'append'>;
  /** Absent when the server signs its own root. */
  readonly upstream: Upstream | undefined;
}

/** How X.509 CAs differ from other authorities. */
export function x509CaKind(deps: X509CaDeps): AuthorityKind<X509Record, X509CaView> {
  const { upstream } = deps;
  return {
    name: 'X509 CA',
    keyType: deps.keyType,
    keyId: (slot) => `x509-CA-${slot}`,
    recordsOf: (entries) => entries.x509,
    withRecords: (entries, x509) => ({ ...entries, x509 }),
    viewOf,
    logFields: ({ upstreamAuthorityId }) => ({ upstream_authority_id: upstreamAuthorityId }),
    make: (key, slot) =>
      upstream === undefined ? makeRoot(deps, key, slot) : makeIntermediate(deps, upstream, key, slot),
    whyUnusable(record, key, bundle) {
      if (!parseCertificate(record.certificate).publicKey.equals(key.publicKey)) {
        return OTHER_KEY;
      }
      // A root that is not in the bundle is trusted by nobody; an intermediate is never there.
      const isBundled = bundle.x509Authorities.some((one) => one.certificate.equals(record.certificate));
      return upstream !== undefined || isBundled ? undefined : 'authority is not in the bundle';
    },
  };
}

async function makeRoot(deps: X509CaDeps, key: Key, slot: string): Promise<Made<X509Record, X509CaView>> {
  const { bundles, clock, subject, trustDomain } = deps;
  const serialNumber = newSerialNumber(deps.random);
  const fields = { serialNumber, now: clock.now(), ttlMs: deps.ttl, publicKey: key.publicKey, trustDomain, subject };
  const template = selfSignedCaTemplate(fields);
  const certificate = await signCertificate(template, selfSigned(template, key));
  const record = newRecord(deps, slot, certificate, []);
  await check(deps, record, key, [certificate]);
  return {
    record,
    view: viewOf(record, key),
    publish: async () => {
      await bundles.append({ trustDomain, x509Authorities: [{ certificate, tainted: false }] });
    },
  };
}

async function makeIntermediate(
  deps: X509CaDeps,
  upstream: Upstream,
  key: Key,
  slot: string,
): Promise<Made<X509Record, X509CaView>> {
  const csr = await createCsr({
    signer: key,
    subject: encodeName(caSubject(deps.subject, newSerialNumber(deps.random))),
    uris: [trustDomainId(deps.trustDomain)],
  });
  const recordOf = (chain: readonly Buffer[]): X509Record => newRecord(deps, slot, chain[0] ?? Buffer.of(), chain);
  const preferredTtl = Math.floor(deps.ttl / 1000);
  const chain = await upstream.mintX509Ca({ csr, preferredTtl }, (minted, roots) =>
    check(deps, recordOf(minted), key, roots),
  );
  const record = recordOf(chain);
  // The upstream's roots are in the bundle since the CA was minted.
  return { record, view: viewOf(record, key), publish: async () => undefined };
}

function check(deps: X509CaDeps, record: X509Record, key: Key, roots: readonly Buffer[]): Promise<void> {
  return checkX509Ca({ ...deps, ca: viewOf(record, key), roots });
}

function newRecord(
  { clock }: X509CaDeps,
  slotId: string,
  certificate: Buffer,
  upstreamChain: readonly Buffer[],
): X509Record {
  const parsed = parseCertificate(certificate);
  return {
    slotId,
    issuedAt: unixSeconds(clock),
    notAfter: Math.floor(parsed.notAfter / 1000),
    authorityId: hexOf(parsed.subjectKeyId),
    status: 'prepared',
    certificate,
    upstreamChain,
    upstreamAuthorityId: hexOf(parsed.authorityKeyId),
  };
}

function viewOf(record: X509Record, signer: Signer): X509CaView {
  const details = parseCertificate(record.certificate);
  return Object.freeze({
    authorityId: record.authorityId,
    certificate: record.certificate,
    details,
    chain: record.upstreamChain,
    signer,
    issuer: { signer, subject: details.subject, subjectKeyId: details.subjectKeyId },
    issuedAt: record.issuedAt,
    notAfter: record.notAfter,
  });
}

function hexOf(keyId: Buffer | undefined): string {
  return keyId?.toString('hex') ?? '';
}
