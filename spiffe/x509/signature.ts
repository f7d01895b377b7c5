import { constants, type KeyObject, verify } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import type { SignatureAlgorithm } from '../signer.ts';
import { TAG } from './der.ts';
import { encode, integer, objectIdentifier, sequence } from './der-writer.ts';
import type { PublicKey } from './public-key.ts';

/** A signature algorithm of certificates and requests: how it is written, and how it is checked. */
export interface SignatureScheme {
  readonly name: SignatureAlgorithm | 'ed25519';
  readonly kind: PublicKey['kind'];
  /** Name of the digest for node:crypto; Ed25519 digests by itself. */
  readonly digest: string | null;
  readonly pss: boolean;
  /** DER of its AlgorithmIdentifier as we write it. */
  readonly identifier: Buffer;
  /** Another spelling that must be read (RFC 4055 2.1, 5: NULL parameters may be absent). */
  readonly alsoRead: Buffer;
}

const NULL = encode(TAG.null);
const oid = objectIdentifier;

function ecdsa(name: SignatureAlgorithm, digest: string, dotted: string): SignatureScheme {
  const identifier = sequence(oid(dotted));
  return { name, kind: 'ec', digest, pss: false, identifier, alsoRead: identifier };
}

function pkcs1(name: SignatureAlgorithm, digest: string, dotted: string): SignatureScheme {
  const alsoRead = sequence(oid(dotted));
  return { name, kind: 'rsa', digest, pss: false, identifier: sequence(oid(dotted), NULL), alsoRead };
}

/** RFC 4055 3.1 with MGF1 over the same digest, a salt as long as the digest, and the default trailer. */
function pss(name: SignatureAlgorithm, digest: string, digestOid: string, saltLength: number): SignatureScheme {
  const write = (hash: Buffer): Buffer => {
    const mgf1 = sequence(oid('1.2.840.113549.1.1.8'), hash);
    const parameters = sequence(encode(0xa0, hash), encode(0xa1, mgf1), encode(0xa2, integer(saltLength)));
    return sequence(oid('1.2.840.113549.1.1.10'), parameters);
  };
  const identifier = write(sequence(oid(digestOid), NULL));
  return { name, kind: 'rsa', digest, pss: true, identifier, alsoRead: write(sequence(oid(digestOid))) };
}

/** Everything that may sign here. SHA-1 and MD5 are not missing by mistake: nobody may rely on them. */
const SCHEMES: readonly SignatureScheme[] = [
  ecdsa('ecdsa-sha256', 'sha256', '1.2.840.10045.4.3.2'),
  ecdsa('ecdsa-sha384', 'sha384', '1.2.840.10045.4.3.3'),
  ecdsa('ecdsa-sha512', 'sha512', '1.2.840.10045.4.3.4'),
  pkcs1('rsa-pkcs1-sha256', 'sha256', '1.2.840.113549.1.1.11'),
  pkcs1('rsa-pkcs1-sha384', 'sha384', '1.2.840.113549.1.1.12'),
  pkcs1('rsa-pkcs1-sha512', 'sha512', '1.2.840.113549.1.1.13'),
  pss('rsa-pss-sha256', 'sha256', '2.16.840.1.101.3.4.2.1', 32),
  pss('rsa-pss-sha384', 'sha384', '2.16.840.1.101.3.4.2.2', 48),
  pss('rsa-pss-sha512', 'sha512', '2.16.840.1.101.3.4.2.3', 64),
  {
    name: 'ed25519',
    kind: 'ed25519',
    digest: null,
    pss: false,
    identifier: sequence(oid('1.3.101.112')),
    alsoRead: sequence(oid('1.3.101.112')),
  },
];

const byIdentifier = new Map(
  SCHEMES.flatMap((scheme) => [
    [scheme.identifier.toString('latin1'), scheme],
    [scheme.alsoRead.toString('latin1'), scheme],
  ]),
);

const byName = new Map<string, SignatureScheme>(SCHEMES.map((scheme) => [scheme.name, scheme]));

/** The scheme that an AlgorithmIdentifier names, or undefined for weak and unknown ones. */
export function schemeOf(identifier: Buffer): SignatureScheme | undefined {
  return byIdentifier.get(identifier.toString('latin1'));
}

/** DER of the AlgorithmIdentifier of an algorithm of ours. */
export function algorithmIdentifier(algorithm: SignatureAlgorithm): Buffer {
  const scheme = byName.get(algorithm);
  if (scheme === undefined) throw new SpiffeError('invalid-key', `no such signature algorithm: ${algorithm}`);
  return scheme.identifier;
}

/** What node:crypto needs beside the digest to verify with `scheme`. */
function verifyOptions(scheme: SignatureScheme, key: KeyObject): Parameters<typeof verify>[2] {
  if (!scheme.pss) return key;
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
}

/**
 * Whether `signature` over `data` is right. Takes tens of microseconds of this thread.
 *
 * @param key of the scheme's kind; the caller has seen to that, as node:crypto would pick an algorithm by the key
 */
export function verifySignature(scheme: SignatureScheme, key: KeyObject, data: Buffer, signature: Buffer): boolean {
  return verify(scheme.digest, data, verifyOptions(scheme, key), signature);
}

/** As verifySignature, on the thread pool. */
export function verifySignatureAsync(
  scheme: SignatureScheme,
  key: KeyObject,
  data: Buffer,
  signature: Buffer,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    // On the callback form a failed check is an answer too; an error means that it could not be made.
    verify(scheme.digest, data, verifyOptions(scheme, key), signature, (error, valid) => {
      if (error === null) resolve(valid);
      else reject(error);
    });
  });
}
