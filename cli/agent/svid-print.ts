import { goDuration, goTime, plural } from '../../common/cli/format.ts';
import { messageOf } from '../../common/errors.ts';
import type { X509SVIDResponse__Output } from '../../proto/gen/workload/X509SVIDResponse.ts';
import { parseSpiffeId, trustDomainOf } from '../../spiffe/id.ts';
import { type Certificate, parseCertificates } from '../../spiffe/x509/certificate.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import { commandFailure } from '../failure.ts';

/** An X509-SVID as the Workload API sent it, taken apart and verified. */
export interface ReceivedSvid {
  readonly id: string;
  readonly hint: string;
  readonly chain: readonly Certificate[];
  readonly privateKey: Buffer;
  readonly bundle: readonly Certificate[];
  /** By trust domain ID, sorted. */
  readonly federated: readonly { readonly id: string; readonly bundle: readonly Certificate[] }[];
}

/**
 * Takes a response apart.
 *
 * @param now Unix milliseconds
 * @throws FinialError when it is empty, malformed, or an SVID does not verify against its own bundle
 */
export function receivedSvids(response: X509SVIDResponse__Output, now: number): readonly ReceivedSvid[] {
  if (response.svids.length === 0) throw commandFailure('workload response contains no svids');
  const federated = Object.entries(response.federated_bundles)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, ders]) => ({ id, bundle: parseCertificates(ders) }));
  return response.svids.map((svid) => {
    try {
      const id = parseSpiffeId(svid.spiffe_id);
      const chain = parseCertificates(svid.x509_svid);
      const bundle = parseCertificates(svid.bundle);
      const roots = bundle.map(({ der }) => der);
      const verified = verifyX509Svid(chain, (td) => (td === trustDomainOf(id) ? roots : undefined), now);
      if (verified.id !== id) throw new Error(`certificate is for "${verified.id}"`);
      return { id, hint: svid.hint, chain, privateKey: svid.x509_svid_key, bundle, federated };
    } catch (error) {
      throw commandFailure(`"${svid.spiffe_id}" SVID failed verification against bundle: ${messageOf(error)}`);
    }
  });
}

function validity(label: string, certificate: Certificate): string {
  const after = goTime(new Date(certificate.notBefore), 'UTC');
  const until = goTime(new Date(certificate.notAfter), 'UTC');
  return `${label} Valid After:\t${after}\n${label} Valid Until:\t${until}\n`;
}

/**
 * What was received, in the reference's layout (agent.md 10.3).
 *
 * @param elapsedMs how long it took
 * @param style `watch` leaves hints out and names federated trust domains without scheme
 */
export function svidsText(svids: readonly ReceivedSvid[], elapsedMs: number, style: 'fetch' | 'watch'): string {
  const blocks = svids.map((svid) => {
    const [leaf, ...intermediates] = svid.chain;
    return [
      `\nSPIFFE ID:\t\t${svid.id}\n`,
      svid.hint !== '' && style === 'fetch' ? `Hint:\t\t\t${svid.hint}\n` : '',
      leaf === undefined ? '' : validity('SVID', leaf),
      ...intermediates.map((one, index) => validity(`Intermediate #${index + 1}`, one)),
      ...svid.bundle.map((one, index) => validity(`CA #${index + 1}`, one)),
      ...svid.federated.flatMap(({ id, bundle }) =>
        bundle.map((one, index) =>
          validity(`[${style === 'watch' ? id.replace('spiffe://', '') : id}] CA #${index + 1}`, one),
        ),
      ),
    ].join('');
  });
  return `Received ${plural(svids.length, 'svid', 'svids')} after ${goDuration(elapsedMs)}\n${blocks.join('')}\n`;
}
