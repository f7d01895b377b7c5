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

export type TestKeyKind = 'P-256' | 'P-384' | 'P-521' | 'secp256k1' | 'rsa-1024' | 'rsa-2048' | 'rsa-3072' | 'ed25519';

export function newTestKey(kind: TestKeyKind = 'P-256'): TestKey {
  const privateKey = newPrivateKey(kind);
  return { privateKey, spki: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }) };
}

function newPrivateKey(kind: TestKeyKind): KeyObject {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  if (kind.startsWith('rsa-')) return generateKeyPairSync('rsa', { modulusLength: Number(kind.slice(4)) }).privateKey;
  return generateKeyPairSync('ec', { namedCurve: kind }).privateKey;
}

/** How a certificate is signed: its AlgorithmIdentifier and what node:crypto needs. */
interface TestAlgorithm {
  readonly identifier: Buffer;
  readonly digest: string | null;
  readonly pss?: boolean;
}

const NULL = Buffer.from([5, 0]);
const sha256Pss = sequence(oid('2.16.840.1.101.3.4.2.1'), NULL);

const TEST_ALGORITHMS = {
  'ecdsa-sha1': { identifier: sequence(oid('1.2.840.10045.4.1')), digest: 'sha1' },
  'ecdsa-sha256': { identifier: sequence(oid('1.2.840.10045.4.3.2')), digest: 'sha256' },
  'ecdsa-sha384': { identifier: sequence(oid('1.2.840.10045.4.3.3')), digest: 'sha384' },
  'ecdsa-sha512': { identifier: sequence(oid('1.2.840.10045.4.3.4')), digest: 'sha512' },
  'rsa-md5': { identifier: sequence(oid('1.2.840.113549.1.1.4'), NULL), digest: 'md5' },
  'rsa-sha1': { identifier: sequence(oid('1.2.840.113549.1.1.5'), NULL), digest: 'sha1' },
  'rsa-sha256': { identifier: sequence(oid('1.2.840.113549.1.1.11'), NULL), digest: 'sha256' },
  'rsa-sha512': { identifier: sequence(oid('1.2.840.113549.1.1.13'), NULL), digest: 'sha512' },
  'rsa-pss-sha256': {
    identifier: sequence(
      oid('1.2.840.113549.1.1.10'),
      sequence(
        encode(0xa0, sha256Pss),
        encode(0xa1, sequence(oid('1.2.840.113549.1.1.8'), sha256Pss)),
        encode(0xa2, integer(32)),
      ),
    ),
    digest: 'sha256',
    pss: true,
  },
  ed25519: { identifier: sequence(oid('1.3.101.112')), digest: null },
} as const satisfies Record<string, TestAlgorithm>;

export type TestAlgorithmName = keyof typeof TEST_ALGORITHMS;

const USAGE_BITS = { digitalSignature: 0, keyEncipherment: 2, keyAgreement: 4, keyCertSign: 5, cRLSign: 6 } as const;
type TestUsage = keyof typeof USAGE_BITS;

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
  readonly names?: readonly (readonly [tag: number, value: string | Buffer])[] | undefined;
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

function encodeAltName([tag, value]: readonly [number, string | Buffer]): Buffer {
  return encode(0x80 | tag, Buffer.isBuffer(value) ? value : Buffer.from(value, 'latin1'));
}

function encodeUsage(usage: readonly TestUsage[]): Buffer {
  const bits = usage.reduce((sum, name) => sum | (0x80 >> USAGE_BITS[name]), 0);
  return bitString(Uint8Array.of(bits), bits === 0 ? 0 : 31 - Math.clz32(bits & -bits));
}

function algorithmOf(key: KeyObject): TestAlgorithmName {
  if (key.asymmetricKeyType === 'ed25519') return 'ed25519';
  return key.asymmetricKeyType === 'rsa' ? 'rsa-sha256' : 'ecdsa-sha256';
}

function signAs(name: TestAlgorithmName, data: Buffer, key: KeyObject): Buffer {
  const { digest, pss = false }: TestAlgorithm = TEST_ALGORITHMS[name];
  if (!pss) return sign(digest, data, key);
  return sign(digest, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
}
