import { readFileSync } from 'node:fs';
import path from 'node:path';
import { certificatesToPem, encodePem } from '../../../spiffe/x509/pem.ts';
import { parseX509Svid, type X509Svid, x509SvidFromPem } from '../../../spiffe/x509/svid.ts';
import { verifyX509Svid, type X509Authorities } from '../../../spiffe/x509/verify.ts';
import type { TestCertificate } from '../../support/pki.ts';
import { type Certificates, certificatesOf, type DeclaredCertificate } from './x509-certificates.ts';
import { runTls, type TlsInput } from './x509-tls.ts';

/** A peer's chain to judge. */
interface VerifyInput {
  readonly certificates?: Readonly<Record<string, DeclaredCertificate>>;
  /** The leaf first. */
  readonly chain: readonly DerPart[];
  /** Authorities by trust domain; null for no source of bundles. The shared `root` for `td` unless said. */
  readonly bundles?: Readonly<Record<string, readonly string[]>> | null;
  /** ISO 8601; the shared clock unless said. */
  readonly now?: string;
}

interface HexPart {
  readonly hex: string;
}

/** A certificate, whole or with bytes after it, or any bytes. */
type DerPart = string | { readonly certificate: string; readonly append: string } | HexPart;

type KeyForm = 'pkcs8' | 'sec1' | 'encrypted';

/** A certificate, a private key in some form, or anything else. */
type PemPart = { readonly certificate: string } | KeyPart | string | { readonly label: string; readonly hex: string };

interface KeyPart {
  /** Of the certificate of this name. */
  readonly key: string;
  readonly form?: KeyForm;
}

/** One's own X509-SVID to load. */
interface LoadInput {
  readonly certificates?: Readonly<Record<string, DeclaredCertificate>>;
  readonly pem?: { readonly certificates: readonly PemPart[]; readonly key: readonly PemPart[] };
  readonly der?: { readonly chain: readonly DerPart[]; readonly key: KeyPart | HexPart };
}

interface Shared {
  /** ISO 8601. */
  readonly clock: { readonly now: string; readonly notBefore: string; readonly notAfter: string };
  readonly certificates: Readonly<Record<string, DeclaredCertificate>>;
}

const file = path.join(import.meta.dirname, '../x509-svid.json');
const { clock, certificates: declared } = JSON.parse(readFileSync(file, 'utf8')) as Shared;
const validity = { notBefore: Date.parse(clock.notBefore), notAfter: Date.parse(clock.notAfter) };
const shared = certificatesOf(declared, validity);

/** Verifies or loads, by real TLS if the vector says so. */
export function run(input: VerifyInput | LoadInput | { readonly tls: TlsInput }): unknown {
  if ('tls' in input) return runTls(input.tls);
  const certificates = certificatesOf(input.certificates ?? {}, validity, shared);
  return 'chain' in input ? verify(input, certificates) : load(input, certificates);
}

/** The identity, and the path by the names that the vector has for its certificates. */
function verify({ chain, bundles = { td: ['root'] }, now = clock.now }: VerifyInput, certificates: Certificates): object {
  const ders = chain.map((part) => bytesOf(part, certificates));
  const authorities: X509Authorities | undefined =
    bundles === null ? undefined : (td) => bundles[td]?.map((name) => certificates(name).der);
  const verified = verifyX509Svid(ders, authorities as X509Authorities, Date.parse(now));
  const names = new Set(['root', ...chain.filter((one) => typeof one === 'string'), ...Object.values(bundles ?? {}).flat()]);
  const nameOf = (der: Buffer): string | undefined => [...names].find((name) => certificates(name).der.equals(der));
  return { id: verified.id, path: verified.path.map(({ der }) => nameOf(der)) };
}

function load({ pem, der }: LoadInput, certificates: Certificates): object {
  if (pem !== undefined) {
    const textOf = (parts: readonly PemPart[]): string => parts.map((part) => pemOf(part, certificates)).join('');
    return loaded(x509SvidFromPem(textOf(pem.certificates), textOf(pem.key)));
  }
  if (der === undefined) throw new Error('the vector loads nothing');
  const chain = Buffer.concat(der.chain.map((part) => bytesOf(part, certificates)));
  return loaded(parseX509Svid(chain, 'hex' in der.key ? Buffer.from(der.key.hex, 'hex') : keyOf(der.key, certificates)));
}

const loaded = ({ id, chain, privateKey }: X509Svid): object => ({
  id,
  certificates: chain.length,
  key: privateKey.asymmetricKeyType,
});

function bytesOf(part: DerPart, certificates: Certificates): Buffer {
  if (typeof part === 'string') return certificates(part).der;
  if ('hex' in part) return Buffer.from(part.hex, 'hex');
  return Buffer.concat([certificates(part.certificate).der, Buffer.from(part.append, 'hex')]);
}

function pemOf(part: PemPart, certificates: Certificates): string {
  if (typeof part === 'string') return part;
  if ('certificate' in part) return certificatesToPem([certificates(part.certificate).der]);
  if ('label' in part) return encodePem(part.label, Buffer.from(part.hex, 'hex'));
  return encodePem(KEY_LABELS[part.form ?? 'pkcs8'], keyOf(part, certificates));
}

const KEY_LABELS: Readonly<Record<KeyForm, string>> = {
  pkcs8: 'PRIVATE KEY',
  sec1: 'EC PRIVATE KEY',
  encrypted: 'ENCRYPTED PRIVATE KEY',
};

function keyOf({ key, form = 'pkcs8' }: KeyPart, certificates: Certificates): Buffer {
  const { privateKey }: TestCertificate['key'] = certificates(key).key;
  if (form === 'sec1') return privateKey.export({ type: 'sec1', format: 'der' });
  if (form === 'pkcs8') return privateKey.export({ type: 'pkcs8', format: 'der' });
  return privateKey.export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: 'secret' });
}
