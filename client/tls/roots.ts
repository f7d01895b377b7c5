import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import type { X509Bundles } from '../source.ts';

/**
 * The roots that OpenSSL is given for one client connection: those of the trust domains that the authorizer can accept
 * at all. OpenSSL's verdict is only the first one; the peer is then judged by the bundle of its own domain.
 */
export function rootsFor(bundles: X509Bundles, trustDomains: readonly TrustDomain[] | undefined): readonly Buffer[] {
  if (trustDomains === undefined) return Array.from(bundles.values()).flat();
  return trustDomains.flatMap((one) => bundles.get(one) ?? []);
}

/** More roots of one name than this are not tried one after the other. */
const MAX_ORDERS = 4;

/**
 * The orders in which roots must be offered to OpenSSL so that each has its turn. Of several roots with one name it takes
 * the first whose key identifier does not contradict, and never goes back (measured: old and new root of one subject,
 * without key identifiers, fail with CERT_SIGNATURE_FAILURE in one order and pass in the other). Roots with identifiers,
 * and so all that servers like ours make, need one order.
 */
export function rootOrders(roots: readonly Buffer[]): readonly (readonly Buffer[])[] {
  const ambiguous = new Map<string, number>();
  for (const der of roots) {
    const { subject, subjectKeyId } = parsed(der);
    if (subjectKeyId !== undefined) continue;
    const name = subject.toString('latin1');
    ambiguous.set(name, (ambiguous.get(name) ?? 0) + 1);
  }
  const named = (der: Buffer): boolean => (ambiguous.get(parsed(der).subject.toString('latin1')) ?? 0) > 0;
  const twins = roots.filter(named);
  const others = roots.filter((der) => !named(der));
  if (twins.length < 2) return [roots];
  return Array.from({ length: Math.min(twins.length, MAX_ORDERS) }, (_none, first) => [
    ...twins.slice(first),
    ...twins.slice(0, first),
    ...others,
  ]);
}

type NameOfRoot = Pick<ReturnType<typeof parseCertificate>, 'subject' | 'subjectKeyId'>;
const names = new WeakMap<Buffer, NameOfRoot>();

/** Roots come again with every connection, in the same Buffers. */
function parsed(der: Buffer): NameOfRoot {
  const known = names.get(der);
  if (known !== undefined) return known;
  const { subject, subjectKeyId } = parseCertificate(der);
  const made = { subject, subjectKeyId };
  names.set(der, made);
  return made;
}
