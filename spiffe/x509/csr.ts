import { SpiffeError } from '../error.ts';
import { readAlgorithmIdentifier } from './algorithm-identifier.ts';
import { contextConstructed, DerReader, TAG } from './der.ts';
import { bitString, encode, integer, objectIdentifier, sequence, setOf } from './der-writer.ts';
import { NO_EXTENSIONS, type ReadExtensions, readExtensions } from './extensions.ts';
import type { CertificateSigner } from './key.ts';
import { parseName } from './name.ts';
import { OID } from './oid.ts';
import { checkStrength, importPublicKey, parsePublicKey, readPublicKeyInfo, signingAlgorithmOf } from './public-key.ts';
import { encodeAltNames, encodeExtension } from './tbs.ts';
import { algorithmIdentifier, type SignatureScheme, schemeOf, verifySignatureAsync } from './signature.ts';

/** A certificate request (PKCS #10, RFC 2986), read strictly. All Buffers are views of `der`. */
export interface CertificateRequest extends ReadExtensions {
  readonly der: Buffer;
  /** What the signature is over. */
  readonly info: Buffer;
  /** DER of the Name. */
  readonly subject: Buffer;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
  /** Undefined for weak and unknown algorithms. */
  readonly signatureAlgorithm: SignatureScheme | undefined;
  readonly signature: Buffer;
}

/**
 * Reads a request. Its signature is not checked: see `verifyCsrSignature`.
 *
 * @throws SpiffeError `invalid-csr` that names the part and the rule
 */
export function parseCsr(der: Buffer): CertificateRequest {
  try {
    return readRequest(der);
  } catch (error) {
    if (!(error instanceof SpiffeError) || error.code !== 'invalid-der') throw error;
    throw new SpiffeError('invalid-csr', `malformed certificate request: ${error.message}`, { cause: error });
  }
}

function readRequest(der: Buffer): CertificateRequest {
  const file = new DerReader(der);
  const outer = file.sequence('request');
  file.finish('request');
  const info = outer.whole(TAG.sequence, 'certificationRequestInfo');
  const algorithm = readAlgorithmIdentifier(outer, 'signatureAlgorithm');
  const signature = outer.bitStringBytes('signature');
  outer.finish('request');

  const reader = new DerReader(info).sequence('certificationRequestInfo');
  // RFC 2986 4.1: 0 is version 1, the only one.
  if (reader.smallInteger('version') !== 0) throw new SpiffeError('invalid-der', 'version is not 1');
  const subject = reader.whole(TAG.sequence, 'subject');
  parseName(subject);
  const publicKey = readPublicKeyInfo(reader);
  const extensions = readAttributes(reader.enter(contextConstructed(0), 'attributes'));
  reader.finish('certificationRequestInfo');
  return { ...extensions, der, info, subject, publicKey, signatureAlgorithm: schemeOf(algorithm), signature };
}

/** Of the attributes only the requested extensions (RFC 2985 5.4.2) say something here. */
function readAttributes(attributes: DerReader): ReadExtensions {
  let found: ReadExtensions | undefined;
  while (!attributes.atEnd) {
    const attribute = attributes.sequence('attribute');
    const type = attribute.oid('attribute');
    const values = attribute.enter(TAG.set, 'attribute values');
    attribute.finish('attribute');
    if (type !== OID.extensionRequest) continue;
    if (found !== undefined) throw new SpiffeError('invalid-der', 'requested extensions are there twice');
    found = readExtensions(values.sequence('requested extensions'));
    values.finish('requested extensions');
  }
  return found ?? NO_EXTENSIONS;
}

/**
 * Whether whoever made the request holds its private key. Checked on the thread pool, importing the key is not.
 *
 * @returns false also for weak and unknown signature algorithms
 * @throws SpiffeError `invalid-key` for malformed, unsupported and weak keys
 */
export async function verifyCsrSignature(csr: CertificateRequest): Promise<boolean> {
  const key = parsePublicKey(csr.publicKey);
  checkStrength(key);
  const scheme = csr.signatureAlgorithm;
  if (scheme === undefined || scheme.kind !== key.kind) return false;
  return verifySignatureAsync(scheme, importPublicKey(key), csr.info, csr.signature);
}

/** What a request asks for. */
export interface CsrFields {
  readonly signer: CertificateSigner;
  /** DER of the Name. */
  readonly subject: Buffer;
  readonly uris: readonly string[];
  readonly dnsNames?: readonly string[];
}

/**
 * Makes a request for a certificate of the signer's key.
 *
 * @returns its DER
 */
export async function createCsr(fields: CsrFields): Promise<Buffer> {
  const { signer, subject, uris, dnsNames = [] } = fields;
  const algorithm = signingAlgorithmOf(parsePublicKey(signer.publicKey));
  const attributes: Buffer[] = [];
  if (uris.length > 0 || dnsNames.length > 0) {
    const extension = encodeExtension(OID.subjectAltName, false, encodeAltNames(uris, dnsNames));
    attributes.push(sequence(objectIdentifier(OID.extensionRequest), setOf(sequence(extension))));
  }
  const info = sequence(integer(0), subject, signer.publicKey, encode(contextConstructed(0), ...attributes));
  const signature = await signer.sign(algorithm, info);
  return sequence(info, algorithmIdentifier(algorithm), bitString(signature));
}
