import { createPublicKey, type KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import type { SpiffeId } from '../id.ts';
import { type Certificate, parseCertificate, parseCertificates } from './certificate.ts';
import { privateKeyFromPkcs8 } from './key.ts';
import { decodePem } from './pem.ts';
import { checkLeaf } from './verify.ts';

/** An X509-SVID with its private key: what a workload presents. */
export interface X509Svid {
  readonly id: SpiffeId;
  /** The leaf first. */
  readonly chain: readonly [leaf: Certificate, ...intermediates: Certificate[]];
  readonly privateKey: KeyObject;
}

/**
 * Reads one's own X509-SVID as the Workload API sends it. Its signature and lifetime are not checked; that is the
 * business of whoever it is presented to.
 *
 * @param chain concatenated DER, the leaf first
 * @param pkcs8 DER of the leaf's unencrypted PrivateKeyInfo
 * @throws SpiffeError `invalid-certificate`, `invalid-key` or `invalid-x509-svid`
 */
export function parseX509Svid(chain: Buffer, pkcs8: Buffer): X509Svid {
  return assemble(parseCertificates(chain), privateKeyFromPkcs8(pkcs8));
}

/**
 * Reads one's own X509-SVID from PEM. Certificates and key may be in one text, in any order.
 *
 * @param certificates `CERTIFICATE` blocks, the leaf first
 * @param privateKey one `PRIVATE KEY` block
 * @throws SpiffeError as parseX509Svid, and `invalid-pem`
 */
export function x509SvidFromPem(certificates: string, privateKey: string): X509Svid {
  const chain = decodePem(certificates).filter(({ label }) => label === 'CERTIFICATE');
  const [key, ...others] = decodePem(privateKey).filter(({ label }) => label.endsWith('PRIVATE KEY'));
  if (key === undefined || others.length > 0) throw new SpiffeError('invalid-pem', 'expected one private key');
  if (key.label !== 'PRIVATE KEY') throw new SpiffeError('invalid-pem', 'private key is not an unencrypted PKCS#8 key');
  return assemble(
    chain.map(({ der }) => parseCertificate(der)),
    privateKeyFromPkcs8(key.der),
  );
}

function assemble(certificates: readonly Certificate[], privateKey: KeyObject): X509Svid {
  const [leaf, ...intermediates] = certificates;
  if (leaf === undefined) throw new SpiffeError('invalid-x509-svid', 'no certificate found');
  const id = checkLeaf(leaf);
  // X509-SVID 4.1: a leaf says that it is not a CA; many verifiers insist on reading that.
  if (leaf.isCa === undefined) throw new SpiffeError('invalid-x509-svid', 'leaf certificate has no basic constraints');
  intermediates.forEach(checkIntermediate);
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  if (!publicKey.equals(leaf.publicKey)) {
    throw new SpiffeError('invalid-x509-svid', 'leaf certificate does not match private key');
  }
  return { id, chain: [leaf, ...intermediates], privateKey };
}

/** X509-SVID 4.1, 4.3: every peer refuses a chain in which one that signs may not. */
function checkIntermediate({ isCa, keyUsage }: Certificate): void {
  if (isCa !== true) throw new SpiffeError('invalid-x509-svid', 'intermediate certificate is not a CA');
  if (keyUsage?.names.has('keyCertSign') !== true) {
    throw new SpiffeError('invalid-x509-svid', 'intermediate certificate may not sign certificates');
  }
}
