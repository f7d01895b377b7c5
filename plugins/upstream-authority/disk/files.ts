import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { FinialError, messageOf } from '../../../common/errors.ts';
import { type Certificate, parseCertificate } from '../../../spiffe/x509/certificate.ts';
import { type CertificateSigner, certificateSignerFromPrivateKey } from '../../../spiffe/x509/key.ts';
import { certificatesFromPem } from '../../../spiffe/x509/pem.ts';
import { verifyChainToRoots } from '../../../spiffe/x509/verify.ts';

/** PEM files. */
export interface UpstreamCaPaths {
  /** The CA; with a bundle also the intermediates above it. */
  readonly certificate: string;
  /** PKCS#8, PKCS#1 or SEC 1, not encrypted. */
  readonly key: string;
  /** The roots. Absent when the CA is itself the root. */
  readonly bundle: string | undefined;
}

/** A CA that signs the CAs of servers. */
export interface UpstreamCa {
  readonly certificate: Certificate;
  readonly signer: CertificateSigner;
  /** DER, what follows a CA that it signs, without the root; empty when it is itself the root. */
  readonly chain: readonly Buffer[];
  /** DER. */
  readonly roots: readonly Buffer[];
}

/**
 * @param now Unix milliseconds
 * @throws FinialError `invalid-argument` that names the file and what is wrong with it
 */
export async function readUpstreamCa(paths: UpstreamCaPaths, now: number): Promise<UpstreamCa> {
  const signer = await reading('key', paths.key, (text) => certificateSignerFromPrivateKey(privateKeyFromPem(text)));
  const certificates = await reading('cert', paths.certificate, readCertificates);
  const isRoot = paths.bundle === undefined || paths.bundle === '';
  if (isRoot && certificates.length !== 1) {
    throw refused(paths.certificate, 'with no bundle_file_path configured only self-signed CAs are supported');
  }
  const roots = isRoot ? certificates : await reading('bundle', paths.bundle, readCertificates);
  const [certificate] = certificates;
  if (certificate === undefined) throw refused(paths.certificate, 'it holds no certificate');
  if (!certificate.publicKey.equals(signer.publicKey)) {
    throw refused(paths.certificate, `certificate and private key (${paths.key}) do not match`);
  }
  checkTrusted(paths, certificates, roots, now);
  const ders = (list: readonly Certificate[]): Buffer[] => list.map((one) => one.der);
  return { certificate, signer, chain: isRoot ? [] : ders(certificates), roots: ders(roots) };
}

/** What nobody could verify must not sign. */
function checkTrusted(
  paths: UpstreamCaPaths,
  chain: readonly Certificate[],
  roots: readonly Certificate[],
  now: number,
): void {
  try {
    verifyChainToRoots(chain, roots, now);
  } catch (error) {
    const problem = 'certificate cannot be validated with the provided bundle or is not self-signed';
    throw refused(paths.certificate, `${problem}: ${messageOf(error)}`);
  }
}

function readCertificates(text: string): readonly Certificate[] {
  return certificatesFromPem(text).map(parseCertificate);
}

function privateKeyFromPem(text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch {
    // OpenSSL's own words may hold pieces of the key.
    throw new FinialError('invalid-argument', 'not an unencrypted private key in PEM form');
  }
}

async function reading<T>(what: string, file: string, read: (text: string) => T): Promise<T> {
  try {
    return read(await readFile(file, 'utf8'));
  } catch (error) {
    throw new FinialError('invalid-argument', `unable to load upstream CA ${what} ${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function refused(file: string, problem: string): FinialError {
  return new FinialError('invalid-argument', `unable to load upstream CA ${file}: ${problem}`);
}
