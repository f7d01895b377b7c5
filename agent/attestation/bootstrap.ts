import { readFile } from 'node:fs/promises';
import { FinialError, messageOf } from '../../common/errors.ts';
import { bundleFromSpiffeJson } from '../../spiffe/bundle/json.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { certificatesFromPem } from '../../spiffe/x509/pem.ts';

/** What a server is first verified with: certificates (DER), or nothing at all. */
export type BootstrapRoots = readonly Buffer[] | 'insecure';

/**
 * Reads the bundle file that an operator put there for the first contact with the server.
 *
 * @throws FinialError `failed-precondition` naming the file and what is wrong with it
 */
export async function bootstrapRootsFromFile(
  file: string,
  format: 'pem' | 'spiffe',
  trustDomain: TrustDomain,
): Promise<readonly Buffer[]> {
  const problem = (why: string, cause?: unknown): FinialError =>
    new FinialError('failed-precondition', `could not parse trust bundle: ${file}: ${why}`, { cause });
  let roots: readonly Buffer[];
  try {
    const text = await readFile(file, 'utf8');
    roots =
      format === 'pem'
        ? pemRoots(text)
        : bundleFromSpiffeJson(text, trustDomain).x509Authorities.map(({ certificate }) => certificate);
  } catch (error) {
    throw problem(messageOf(error), error);
  }
  if (roots.length === 0) throw problem('no certificates found in trust bundle');
  return roots;
}

/** An empty file is reported like one without certificates. */
function pemRoots(text: string): readonly Buffer[] {
  if (!text.includes('-----BEGIN')) return [];
  const roots = certificatesFromPem(text);
  for (const root of roots) parseCertificate(root);
  return roots;
}
