import type { DetailedPeerCertificate } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { presentedChain } from './presented-chain.ts';

/** What Node makes of a chain: each names its issuer, the last one itself. */
function peerCertificate(...ders: readonly string[]): DetailedPeerCertificate {
  const all = ders.map((der) => ({ raw: Buffer.from(der), fingerprint256: der })) as DetailedPeerCertificate[];
  all.forEach((one, index) => {
    one.issuerCertificate = all[index + 1] ?? one;
  });
  return all[0] ?? ({} as DetailedPeerCertificate);
}

describe('presentedChain', () => {
  it('gives the leaf first and stops where a certificate is its own issuer', () => {
    expect(presentedChain(peerCertificate('leaf', 'intermediate')).map(String)).toEqual(['leaf', 'intermediate']);
  });

  it('is empty when the peer sent no certificate', () => {
    expect(presentedChain(undefined)).toEqual([]);
    expect(presentedChain(peerCertificate())).toEqual([]);
  });

  it('refuses a chain that only keeps us busy', () => {
    const names = Array.from({ length: 17 }, (_, index) => `${index}`);
    expect(presentedChain(peerCertificate(...names.slice(1)))).toHaveLength(16);
    expect(() => presentedChain(peerCertificate(...names))).toThrow('certificate chain is longer than 16');
  });
});
