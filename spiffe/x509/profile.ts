import { createHash } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import { type SpiffeId, trustDomainId } from '../id.ts';
import type { TrustDomain } from '../trust-domain.ts';
import { DerReader, TAG } from './der.ts';
import { bitString, sequence } from './der-writer.ts';
import type { KeyUsageName } from './extensions.ts';
import type { CertificateSigner } from './key.ts';
import { encodeName, formatSubject, type Subject, subjectOf } from './name.ts';
import { OID } from './oid.ts';
import { parsePublicKey, signingAlgorithmOf } from './public-key.ts';
import { algorithmIdentifier } from './signature.ts';
import { type CertificateTemplate, encodeTbs, type IssuerFields } from './tbs.ts';

export type { CertificateTemplate };

/** Certificates begin to be valid a little before now, as clocks differ. */
const BACKDATE_MS = 10_000;

/** The subject of CAs when the configuration names none. */
const DEFAULT_CA_SUBJECT: Subject = { country: ['US'], organization: ['SPIFFE'] };

/** The subject of X509-SVIDs. */
const DEFAULT_SVID_SUBJECT: Subject = { country: ['US'], organization: ['SPIRE'] };

/** DER of the Name of X509-SVIDs that nobody named otherwise. */
export const SVID_SUBJECT = encodeName(DEFAULT_SVID_SUBJECT);

const CA_KEY_USAGE: readonly KeyUsageName[] = ['keyCertSign', 'cRLSign'];
const SVID_KEY_USAGE: readonly KeyUsageName[] = ['digitalSignature', 'keyEncipherment', 'keyAgreement'];
const SVID_EXT_KEY_USAGE: readonly string[] = [OID.serverAuth, OID.clientAuth];

/** What every template needs. */
interface CommonFields {
  readonly serialNumber: bigint;
  /** Unix milliseconds. */
  readonly now: number;
  /** How long the certificate is valid from `now`. */
  readonly ttlMs: number;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
}

/** A CA that signs itself. */
export interface CaFields extends CommonFields {
  readonly trustDomain: TrustDomain;
  /** As configured; without attributes it is the default one. */
  readonly subject: Subject;
}

/** A CA that signs itself: sign it with `selfSigned` of its own key. */
export function selfSignedCaTemplate(fields: CaFields): CertificateTemplate {
  return caTemplate(fields, encodeName(caSubject(fields.subject, fields.serialNumber)), undefined);
}

/**
 * The configured subject of a CA with what makes it unlike that of the trust domain's other CAs: chains are built by
 * comparing names, so two CAs of one name would have to be told apart by trying their keys.
 *
 * @param serialNumber of the certificate, or a random one when the certificate is an upstream's to number
 */
export function caSubject(configured: Subject, serialNumber: bigint): Subject {
  const subject = formatSubject(configured) === '' ? DEFAULT_CA_SUBJECT : configured;
  return subject.serialNumber ? subject : { ...subject, serialNumber: serialNumber.toString() };
}

/** A CA that this server signs for a downstream one. */
export interface DownstreamCaFields extends CommonFields {
  readonly trustDomain: TrustDomain;
  readonly issuer: {
    /** DER of the Name of the CA that signs. */
    readonly subject: Buffer;
    /** Unix milliseconds. */
    readonly notAfter: number;
    /** How many certificates lie from the CA that signs up to, but without, the root; 1 when it is self-signed. */
    readonly chainLength: number;
  };
}

/** The CA of a server below this one. Its lifetime ends no later than its issuer's. */
export function downstreamCaTemplate(fields: DownstreamCaFields): CertificateTemplate {
  const { subject, notAfter, chainLength } = fields.issuer;
  // Attributes without a field of their own get lost, as in the reference.
  const { extra: _extra, ...parent } = subjectOf(subject);
  const name = encodeName({ ...parent, organizationalUnit: [`DOWNSTREAM-${chainLength}`] });
  return caTemplate(fields, name, notAfter);
}

/** A CA that somebody else is asked to sign. */
export interface UpstreamSignedCaFields extends CommonFields {
  readonly uris: readonly string[];
  /** DER of the Name that the request asks for. */
  readonly subject: Buffer;
  readonly issuer: {
    /** Unix milliseconds. */
    readonly notAfter: number;
  };
}

/** A CA that an upstream authority of ours signs as its request asks: the subject and URIs are the request's. */
export function upstreamSignedCaTemplate(fields: UpstreamSignedCaFields): CertificateTemplate {
  return {
    ...lifetime(fields, fields.issuer.notAfter),
    serialNumber: fields.serialNumber,
    subject: fields.subject,
    publicKey: fields.publicKey,
    subjectKeyId: subjectKeyId(fields.publicKey),
    uris: fields.uris,
    dnsNames: [],
    isCa: true,
    keyUsage: CA_KEY_USAGE,
    extKeyUsage: [],
  };
}

function caTemplate(
  fields: CommonFields & { trustDomain: TrustDomain },
  subject: Buffer,
  notAfter: number | undefined,
): CertificateTemplate {
  return {
    ...lifetime(fields, notAfter),
    serialNumber: fields.serialNumber,
    subject,
    publicKey: fields.publicKey,
    subjectKeyId: subjectKeyId(fields.publicKey),
    uris: [trustDomainId(fields.trustDomain)],
    dnsNames: [],
    isCa: true,
    keyUsage: CA_KEY_USAGE,
    extKeyUsage: [],
  };
}

/** A leaf certificate. */
export interface X509SvidFields extends CommonFields {
  readonly id: SpiffeId;
  /** The first is also the common name. */
  readonly dnsNames?: readonly string[];
  /** Instead of the default one, unless without attributes; those without a field of their own get lost. */
  readonly subject?: Subject;
  readonly issuer: {
    /** Unix milliseconds; the lifetime ends no later. */
    readonly notAfter: number;
  };
}

/** The X509-SVID of a workload, an agent or a server; the latter two have no DNS names. */
export function x509SvidTemplate(fields: X509SvidFields): CertificateTemplate {
  const dnsNames = fields.dnsNames ?? [];
  return {
    ...lifetime(fields, fields.issuer.notAfter),
    serialNumber: fields.serialNumber,
    subject: svidSubject(fields.subject, dnsNames[0]),
    publicKey: fields.publicKey,
    subjectKeyId: subjectKeyId(fields.publicKey),
    uris: [fields.id],
    dnsNames,
    isCa: false,
    keyUsage: SVID_KEY_USAGE,
    extKeyUsage: SVID_EXT_KEY_USAGE,
  };
}

function svidSubject(wanted: Subject | undefined, firstDnsName: string | undefined): Buffer {
  const isDefault = wanted === undefined || formatSubject(wanted) === '';
  if (isDefault && firstDnsName === undefined) return SVID_SUBJECT;
  const { extra: _extra, ...subject } = isDefault ? DEFAULT_SVID_SUBJECT : wanted;
  return encodeName(firstDnsName === undefined ? subject : { ...subject, commonName: firstDnsName });
}

function lifetime(fields: CommonFields, cap = Number.POSITIVE_INFINITY): { notBefore: number; notAfter: number } {
  return { notBefore: fields.now - BACKDATE_MS, notAfter: Math.min(fields.now + fields.ttlMs, cap) };
}

/**
 * The identifier of a key in certificates: the SHA-1 of its bits (RFC 5280 4.2.1.2, method 1).
 *
 * @param spki DER of the SubjectPublicKeyInfo
 * @throws SpiffeError `invalid-key`
 */
export function subjectKeyId(spki: Buffer): Buffer {
  try {
    const info = new DerReader(spki).sequence('public key');
    info.content(TAG.sequence, 'public key algorithm');
    return createHash('sha1').update(info.bitStringBytes('public key')).digest();
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    throw new SpiffeError('invalid-key', error.message, { cause: error });
  }
}

/** The identifier of an authority: its subject key identifier in lower-case hex. */
export const authorityId = (spki: Buffer): string => subjectKeyId(spki).toString('hex');

/** Who signs a certificate. */
export interface CertificateIssuer extends IssuerFields {
  readonly signer: CertificateSigner;
}

/** The issuer of a certificate that signs itself. */
export function selfSigned(template: CertificateTemplate, signer: CertificateSigner): CertificateIssuer {
  return { signer, subject: template.subject, subjectKeyId: undefined };
}

/**
 * Writes and signs a certificate.
 *
 * @returns its DER
 * @throws SpiffeError `invalid-certificate` for names that X.509 cannot hold, `invalid-key` for keys that cannot sign
 */
export async function signCertificate(template: CertificateTemplate, issuer: CertificateIssuer): Promise<Buffer> {
  const algorithm = signingAlgorithmOf(parsePublicKey(issuer.signer.publicKey));
  const identifier = algorithmIdentifier(algorithm);
  const tbs = encodeTbs(template, issuer, identifier);
  const signature = await issuer.signer.sign(algorithm, tbs);
  return sequence(tbs, identifier, bitString(signature));
}
