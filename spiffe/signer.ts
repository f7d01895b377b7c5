/** Kinds of keys that SVIDs and authorities use; the names are those of the configuration. */
export type KeyType = 'ec-p256' | 'ec-p384' | 'rsa-2048' | 'rsa-4096';

/** All kinds of key, in the order in which they are listed to operators. */
export const KEY_TYPES: readonly KeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'];

/** How a signature is made: the digest, and the padding where RSA has a choice. */
export type SignatureAlgorithm =
  | 'ecdsa-sha256'
  | 'ecdsa-sha384'
  | 'ecdsa-sha512'
  | 'rsa-pkcs1-sha256'
  | 'rsa-pkcs1-sha384'
  | 'rsa-pkcs1-sha512'
  | 'rsa-pss-sha256'
  | 'rsa-pss-sha384'
  | 'rsa-pss-sha512';

/**
 * A private key that may live anywhere: in memory, a file, an HSM or a cloud service. Whoever signs sees only this.
 */
export interface Signer {
  readonly keyType: KeyType;
  /** DER of the SubjectPublicKeyInfo (RFC 5280 4.1.2.7). */
  readonly publicKey: Buffer;
  /**
   * Signs the digest of `data`. ECDSA signatures are in their DER form (RFC 3279 2.2.3); RSA ones are raw.
   */
  sign(algorithm: SignatureAlgorithm, data: Uint8Array): Promise<Buffer>;
}

/** The algorithm with which authorities of a key type sign certificates and tokens, as the reference chooses it. */
export function signatureAlgorithmOf(keyType: KeyType): SignatureAlgorithm {
  switch (keyType) {
    case 'ec-p256':
      return 'ecdsa-sha256';
    case 'ec-p384':
      return 'ecdsa-sha384';
    case 'rsa-2048':
    case 'rsa-4096':
      return 'rsa-pkcs1-sha256';
  }
}
