import { SpiffeError } from '../error.ts';
import { pathOf, type SpiffeId, trustDomainId } from '../id.ts';
import type { TrustDomain } from '../trust-domain.ts';
import { type Certificate, spiffeIdOf } from './certificate.ts';
import type { KeyUsageName } from './extensions.ts';
import { OID } from './oid.ts';
import { checkStrength, parsePublicKey } from './public-key.ts';

/** What an X509-SVID was asked to be. */
export interface WantedX509Svid {
  readonly id: SpiffeId;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
  readonly dnsNames: readonly string[];
  /** Of the CA that signed it. */
  readonly issuer: Pick<Certificate, 'subject' | 'notBefore' | 'notAfter'>;
  /** Unix milliseconds. */
  readonly now: number;
}

const SVID_USAGES: readonly KeyUsageName[] = ['digitalSignature', 'keyEncipherment', 'keyAgreement'];
const CA_USAGES: readonly KeyUsageName[] = ['keyCertSign', 'cRLSign', 'digitalSignature'];

/**
 * Checks our own output before it leaves the house: that this certificate is the X509-SVID that was asked for and
 * nothing more, whatever changed it on the way.
 *
 * @throws SpiffeError `invalid-x509-svid`
 */
export function validateX509Svid(certificate: Certificate, wanted: WantedX509Svid): void {
  refuse(pathOf(wanted.id) === '', 'its ID has no path');
  refuse(spiffeIdOf(certificate) !== wanted.id, 'URI SAN is not the expected SPIFFE ID');
  refuse(!certificate.publicKey.equals(wanted.publicKey), 'public key is not the requested one');
  checkKey(certificate.publicKey);
  refuse(certificate.isCa === undefined, 'basic constraints are missing');
  refuse(certificate.isCa === true, 'cA constraint must not be set');
  checkUsage(certificate, 'digitalSignature', SVID_USAGES);
  for (const purpose of [OID.serverAuth, OID.clientAuth]) {
    refuse(!certificate.extKeyUsage?.includes(purpose), 'serverAuth and clientAuth extended key usage must be set');
  }
  refuse(!sameList(certificate.dnsNames, wanted.dnsNames), 'DNS names are not the expected ones');
  const { directoryNames, emails, ipAddresses, otherForms } = certificate;
  const unwanted = [...emails, ...ipAddresses, ...directoryNames, ...otherForms];
  refuse(unwanted.length > 0, 'it has names that nobody asked for');
  const { issuer } = wanted;
  refuse(!certificate.issuer.equals(issuer.subject), 'issuer is not the subject of the CA');
  refuse(certificate.notAfter > issuer.notAfter, 'it outlives its CA');
  checkValidity(certificate, wanted.now);
}

/**
 * Checks a CA certificate of our trust domain, our own or one that an upstream signed, before it signs anything.
 *
 * @throws SpiffeError `invalid-certificate`
 */
export function validateX509Ca(
  certificate: Certificate,
  wanted: { readonly trustDomain: TrustDomain; readonly publicKey: Buffer; readonly now: number },
): void {
  try {
    refuse(!certificate.publicKey.equals(wanted.publicKey), 'public key is not the requested one');
    checkKey(certificate.publicKey);
    refuse(certificate.isCa !== true, 'cA constraint is not set');
    checkUsage(certificate, 'keyCertSign', CA_USAGES);
    // X509-SVID 3.2: a signing certificate should be an SVID; if it is one, then that of its trust domain.
    const id = certificate.uris.length === 0 ? undefined : spiffeIdOf(certificate);
    refuse(id !== undefined && id !== trustDomainId(wanted.trustDomain), 'URI SAN is not the ID of the trust domain');
    checkValidity(certificate, wanted.now);
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    throw new SpiffeError('invalid-certificate', error.message.replace('X509-SVID', 'X509 CA'), { cause: error });
  }
}

function checkKey(publicKey: Buffer): void {
  try {
    checkStrength(parsePublicKey(publicKey));
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    throw new SpiffeError('invalid-x509-svid', `invalid X509-SVID: ${error.message}`, { cause: error });
  }
}

/** X509-SVID 4.3: key usage is there, critical, and what the certificate is for; more than `allowed` is too much. */
function checkUsage(certificate: Certificate, needed: KeyUsageName, allowed: readonly KeyUsageName[]): void {
  const usage = certificate.keyUsage;
  refuse(usage?.critical !== true, 'key usage is missing or not critical');
  refuse(usage?.names.has(needed) !== true, `${needed} key usage must be set`);
  for (const name of usage?.names ?? []) refuse(!allowed.includes(name), `${name} key usage must not be set`);
}

function checkValidity(certificate: Certificate, now: number): void {
  refuse(now < certificate.notBefore, 'it is not valid yet');
  refuse(now > certificate.notAfter, 'it has expired');
}

const sameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((one, index) => one === b[index]);

function refuse(broken: boolean, problem: string): void {
  if (broken) throw new SpiffeError('invalid-x509-svid', `invalid X509-SVID: ${problem}`);
}
