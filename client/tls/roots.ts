import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import type { X509Bundles } from '../source.ts';

/**
 * The roots that OpenSSL may be given for one client connection: those of the trust domains that the authorizer can
 * accept at all. OpenSSL's verdict is only the first one; the peer is then judged by the bundle of its own domain.
 */
export function rootsFor(bundles: X509Bundles, trustDomains: readonly TrustDomain[] | undefined): readonly Buffer[] {
  if (trustDomains === undefined) return Array.from(bundles.values()).flat();
  return trustDomains.flatMap((one) => bundles.get(one) ?? []);
}

/**
 * Of several roots with one name OpenSSL takes one whose key identifier does not contradict, and never goes back to try
 * another (measured: roots of one subject fail with CERT_SIGNATURE_FAILURE whenever they, or the server's leaf, come
 * without key identifiers and the wrong one stands first). So for each source and name it is kept in mind which root
 * proved to be the right one, and that alone is offered until another proves right. Whom this misleads is only OpenSSL:
 * `connectTls` then finds the right one by itself in the chain that it saw, and tries once more.
 */
const settled = new WeakMap<object, Map<string, Buffer>>();

/** @param source whose roots these are; what one source has settled says nothing about another */
export function settleRoot(source: object, root: Buffer): void {
  const name = nameOf(root);
  if (name === undefined) return;
  const known = settled.get(source) ?? new Map<string, Buffer>();
  settled.set(source, known.set(name, root));
}

/** The roots without those that would mislead OpenSSL. */
export function settledRoots(source: object, roots: readonly Buffer[]): readonly Buffer[] {
  const known = settled.get(source);
  if (known === undefined) return roots;
  // One that was withdrawn, or is of a trust domain that is not asked for this time, settles nothing.
  const settles = new Map([...known].filter(([, root]) => roots.some((one) => one.equals(root))));
  return roots.filter((one) => settles.get(nameOf(one) ?? '')?.equals(one) ?? true);
}

const names = new WeakMap<Buffer, { readonly name: string | undefined }>();

/** The subject as text, or undefined for what cannot be read. Roots come again with every connection, in the same Buffers. */
function nameOf(root: Buffer): string | undefined {
  const known = names.get(root) ?? { name: readName(root) };
  names.set(root, known);
  return known.name;
}

function readName(root: Buffer): string | undefined {
  try {
    return parseCertificate(root).subject.toString('latin1');
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    return undefined;
  }
}
