import { constants, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  bitString,
  boolean,
  encode,
  integer,
  objectIdentifier as oid,
  octetString,
  sequence,
  setOf,
  time,
} from '../../spiffe/x509/der-writer.ts';

/**
 * A small CA for tests that writes any certificate, broken ones above all. It shares nothing with the product's profiles
 * but the writer of DER elements. Everything is synchronous, so that vectors are plain values.
 */
export interface TestKey {
  readonly privateKey: KeyObject;
  /** DER of the SubjectPublicKeyInfo. */
  readonly spki: Buffer;
}

/** RSA and DSA with the length in bits. */
export type TestKeyKind =
  | 'P-256'
  | 'P-384'
  | 'P-521'
  | 'secp256k1'
  | `rsa-${number}`
  | `rsa-pss-${number}`
  | `dsa-${number}`
  | 'ed25519'
  | 'ed448';

export function newTestKey(kind: TestKeyKind = 'P-256'): TestKey {
  const privateKey = newPrivateKey(kind);
  return { privateKey, spki: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }) };
}

function newPrivateKey(kind: TestKeyKind): KeyObject {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  if (kind === 'ed448') return generateKeyPairSync('ed448').privateKey;
  const modulusLength = Number(kind.slice(kind.lastIndexOf('-') + 1));
  if (kind.startsWith('rsa-pss-')) return generateKeyPairSync('rsa-pss', { modulusLength }).privateKey;
  if (kind.startsWith('rsa-')) return generateKeyPairSync('rsa', { modulusLength }).privateKey;
  if (kind.startsWith('dsa-')) return generateKeyPairSync('dsa', { modulusLength, divisorLength: 256 }).privateKey;
  return generateKeyPairSync('ec', { namedCurve: kind }).privateKey;
}

/** How a certificate is signed: its AlgorithmIdentifier and what node:crypto needs. */
interface TestAlgorithm {
  readonly identifier: Buffer;
  readonly digest: string | null;
  /** Bytes of salt; no PSS without. */
  readonly salt?: number;
}

const NULL = Buffer.from([5, 0]);
const SHA1 = '1.3.14.3.2.26';
const SHA256 = '2.16.840.1.101.3.4.2.1';

/** RSASSA-PSS (RFC 4055 3.1), also with parameters that nobody should use. */
function pss(digest: string, hash: string, salt: number, mgfHash = hash): TestAlgorithm {
  const identifierOf = (dotted: string): Buffer => sequence(oid(dotted), NULL);
  const mgf1 = sequence(oid('1.2.840.113549.1.1.8'), identifierOf(mgfHash));
  const parameters = sequence(encode(0xa0, identifierOf(hash)), encode(0xa1, mgf1), encode(0xa2, integer(salt)));
  return { identifier: sequence(oid('1.2.840.113549.1.1.10'), parameters), digest, salt };
}

const TEST_ALGORITHMS = {
  'ecdsa-sha1': { identifier: sequence(oid('1.2.840.10045.4.1')), digest: 'sha1' },
  'ecdsa-sha256': { identifier: sequence(oid('1.2.840.10045.4.3.2')), digest: 'sha256' },
  'ecdsa-sha384': { identifier: sequence(oid('1.2.840.10045.4.3.3')), digest: 'sha384' },
  'ecdsa-sha512': { identifier: sequence(oid('1.2.840.10045.4.3.4')), digest: 'sha512' },
  'rsa-md5': { identifier: sequence(oid('1.2.840.113549.1.1.4'), NULL), digest: 'md5' },
  'rsa-sha1': { identifier: sequence(oid('1.2.840.113549.1.1.5'), NULL), digest: 'sha1' },
  'rsa-sha256': { identifier: sequence(oid('1.2.840.113549.1.1.11'), NULL), digest: 'sha256' },
  'rsa-sha512': { identifier: sequence(oid('1.2.840.113549.1.1.13'), NULL), digest: 'sha512' },
  'rsa-sha384': { identifier: sequence(oid('1.2.840.113549.1.1.12'), NULL), digest: 'sha384' },
  'rsa-pss-sha1': pss('sha1', SHA1, 20),
  'rsa-pss-sha256': pss('sha256', SHA256, 32),
  'rsa-pss-sha384': pss('sha384', '2.16.840.1.101.3.4.2.2', 48),
  'rsa-pss-sha512': pss('sha512', '2.16.840.1.101.3.4.2.3', 64),
  'rsa-pss-sha256-salt-20': pss('sha256', SHA256, 20),
  'rsa-pss-sha256-salt-0': pss('sha256', SHA256, 0),
  'rsa-pss-sha256-mgf-sha1': pss('sha256', SHA256, 32, SHA1),
  'dsa-sha256': { identifier: sequence(oid('2.16.840.1.101.3.4.3.2')), digest: 'sha256' },
  'ecdsa-sha224': { identifier: sequence(oid('1.2.840.10045.4.3.1')), digest: 'sha224' },
  ed448: { identifier: sequence(oid('1.3.101.113')), digest: null },
  ed25519: { identifier: sequence(oid('1.3.101.112')), digest: null },
} as const satisfies Record<string, TestAlgorithm>;

export type TestAlgorithmName = keyof typeof TEST_ALGORITHMS;

const USAGE_BITS = {
  digitalSignature: 0,
  contentCommitment: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
} as const;
export type TestUsage = keyof typeof USAGE_BITS;

/** What to write. Defaults make a perfect CA or leaf; `undefined` in place of a list leaves its extension out. */
export interface TestSpec {
  readonly key?: TestKey;
  /** Common name, or the DER of a Name. */
  readonly subject?: string | Buffer;
  /** Instead of the issuer's own. */
  readonly issuerName?: Buffer;
  readonly serialNumber?: bigint;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly version?: number;
  readonly ca?: boolean;
  /** Basic constraints; left out when null. */
  readonly basicConstraints?: Buffer | null;
  readonly pathLength?: number;
  readonly usage?: readonly TestUsage[] | undefined;
  readonly usageCritical?: boolean;
  /** Dotted object identifiers. */
  readonly purposes?: readonly string[] | undefined;
  readonly purposesCritical?: boolean;
  /** Each GeneralName by its tag number, such as [6, 'spiffe://td/x']. */
  readonly names?: readonly TestName[] | undefined;
  readonly namesCritical?: boolean;
  /** Undefined leaves it out. */
  readonly subjectKeyId?: Buffer | undefined;
  readonly authorityKeyId?: Buffer | undefined;
  /** More extensions, as DER. */
  readonly extensions?: readonly Buffer[];
  readonly algorithm?: TestAlgorithmName;
  /** The last word on the signed part before it is signed. */
  readonly changeTbs?: (tbs: Buffer) => Buffer;
  /** The last word on the signature. */
  readonly changeSignature?: (signature: Buffer) => Buffer;
}

export interface TestCertificate {
  readonly der: Buffer;
  readonly key: TestKey;
  /** DER of the Name. */
  readonly subject: Buffer;
  readonly subjectKeyId: Buffer | undefined;
}

/** Unix milliseconds of all tests; certificates are valid for an hour before and after. */
export const TEST_NOW = Date.UTC(2030, 0, 2, 3, 4, 5);
export const TEST_HOUR = 3_600_000;

const SERVER_AND_CLIENT = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'];
let count = 0;

export function testName(commonName: string): Buffer {
  return commonName === ''
    ? sequence()
    : sequence(setOf(sequence(oid('2.5.4.3'), encode(0x0c, Buffer.from(commonName)))));
}

export function extension(dotted: string, critical: boolean, value: Buffer): Buffer {
  return critical
    ? sequence(oid(dotted), boolean(true), octetString(value))
    : sequence(oid(dotted), octetString(value));
}

/** A GeneralName by its tag number; 0x20 is added to the tags of constructed forms, as 0x24 for a directory name. */
export type TestName = readonly [tag: number, value: string | Buffer];

/** What a subtree may say besides its base. */
export interface TestDistances {
  readonly minimum?: number;
  readonly maximum?: number;
}

/** A name constraints extension (RFC 5280 4.2.1.10), with `distances` in each subtree. */
export function nameConstraints(
  limits: { readonly permitted?: readonly TestName[]; readonly excluded?: readonly TestName[] },
  { critical = true, minimum, maximum }: TestDistances & { readonly critical?: boolean } = {},
): Buffer {
  const distances = [minimum, maximum].flatMap((distance, tag) =>
    distance === undefined ? [] : [encode(0x80 | tag, Buffer.of(distance))],
  );
  const lists = [limits.permitted, limits.excluded].flatMap((names, tag) =>
    names === undefined
      ? []
      : [encode(0xa0 | tag, ...names.map((name) => sequence(encodeAltName(name), ...distances)))],
  );
  return extension('2.5.29.30', critical, sequence(...lists));
}

/** Writes and signs a certificate; without an issuer it signs itself. */
export function issue(issuer: TestCertificate | undefined, spec: TestSpec = {}): TestCertificate {
  count += 1;
  const { key = newTestKey() } = spec;
  const subject = Buffer.isBuffer(spec.subject) ? spec.subject : testName(spec.subject ?? `test ${count}`);
  const subjectKeyId = 'subjectKeyId' in spec ? spec.subjectKeyId : Buffer.from(`key ${count}`);
  const authorityKeyId = 'authorityKeyId' in spec ? spec.authorityKeyId : issuer?.subjectKeyId;
  const algorithm = spec.algorithm ?? algorithmOf((issuer?.key ?? key).privateKey);
  const { identifier } = TEST_ALGORITHMS[algorithm];
  const { version = 3 } = spec;
  const extensions = encodeExtensions({ ...spec, subjectKeyId, authorityKeyId });
  const tbs = sequence(
    version === 1 ? Buffer.of() : encode(0xa0, integer(version - 1)),
    integer(spec.serialNumber ?? BigInt(count)),
    identifier,
    spec.issuerName ?? issuer?.subject ?? subject,
    sequence(time(spec.notBefore ?? TEST_NOW - TEST_HOUR), time(spec.notAfter ?? TEST_NOW + TEST_HOUR)),
    subject,
    key.spki,
    version === 3 ? encode(0xa3, sequence(...extensions)) : Buffer.of(),
  );
  const { changeTbs = (one) => one, changeSignature = (one) => one } = spec;
  const signed = changeTbs(tbs);
  const signature = changeSignature(signAs(algorithm, signed, (issuer?.key ?? key).privateKey));
  return { der: sequence(signed, identifier, bitString(signature)), key, subject, subjectKeyId };
}

/** A CA that signs itself, or is signed by another. */
export function issueCa(issuer?: TestCertificate, spec: TestSpec = {}): TestCertificate {
  return issue(issuer, { ca: true, ...spec });
}

/** An X509-SVID. */
export function issueSvid(issuer: TestCertificate, id: string, spec: TestSpec = {}): TestCertificate {
  return issue(issuer, { names: [[6, id]], ...spec });
}

function encodeExtensions(spec: TestSpec): Buffer[] {
  const ca = spec.ca === true;
  const usage =
    'usage' in spec ? spec.usage : ca ? (['keyCertSign', 'cRLSign'] as const) : (['digitalSignature'] as const);
  const purposes = 'purposes' in spec ? spec.purposes : ca ? undefined : SERVER_AND_CLIENT;
  const constraints =
    spec.basicConstraints === undefined ? basicConstraints(ca, spec.pathLength) : spec.basicConstraints;
  return [
    usage && extension('2.5.29.15', spec.usageCritical ?? true, encodeUsage(usage)),
    purposes && extension('2.5.29.37', spec.purposesCritical ?? false, sequence(...purposes.map((one) => oid(one)))),
    constraints && extension('2.5.29.19', true, constraints),
    spec.subjectKeyId && extension('2.5.29.14', false, octetString(spec.subjectKeyId)),
    spec.authorityKeyId && extension('2.5.29.35', false, sequence(encode(0x80, spec.authorityKeyId))),
    spec.names &&
      extension('2.5.29.17', spec.namesCritical ?? spec.subject === '', sequence(...spec.names.map(encodeAltName))),
    ...(spec.extensions ?? []),
  ].filter((one) => one !== undefined && one !== null);
}

function basicConstraints(ca: boolean, pathLength: number | undefined): Buffer {
  const limit = pathLength === undefined ? [] : [integer(pathLength)];
  return sequence(...(ca ? [boolean(true)] : []), ...limit);
}

function encodeAltName([tag, value]: TestName): Buffer {
  return encode(0x80 | tag, Buffer.isBuffer(value) ? value : Buffer.from(value, 'latin1'));
}

function encodeUsage(usage: readonly TestUsage[]): Buffer {
  const bits = usage.reduce((sum, name) => sum | (0x80 >> USAGE_BITS[name]), 0);
  return bitString(Uint8Array.of(bits), bits === 0 ? 0 : 31 - Math.clz32(bits & -bits));
}

function algorithmOf(key: KeyObject): TestAlgorithmName {
  const kind = key.asymmetricKeyType;
  return (kind && USUAL_ALGORITHMS[kind]) ?? 'ecdsa-sha256';
}

const USUAL_ALGORITHMS: Readonly<Partial<Record<string, TestAlgorithmName>>> = {
  ed25519: 'ed25519',
  ed448: 'ed448',
  rsa: 'rsa-sha256',
  'rsa-pss': 'rsa-pss-sha256',
  dsa: 'dsa-sha256',
};

function signAs(name: TestAlgorithmName, data: Buffer, key: KeyObject): Buffer {
  const { digest, salt }: TestAlgorithm = TEST_ALGORITHMS[name];
  if (salt === undefined) return sign(digest, data, key);
  return sign(digest, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: salt });
}
