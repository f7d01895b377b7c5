import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../../common/log/logger.ts';
import { listenTls } from '../../common/net/tls-listener.ts';
import { subject } from '../../common/observable.ts';
import { createRpcServer } from '../../common/rpc/server.ts';
import { bidi, implement, unary } from '../../common/rpc/service.ts';
import { agentService, bundleService } from '../../common/rpc/services.ts';
import type { AgentNodeAttestor } from '../../plugins/node-attestor/contract.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { issueCa, issueSvid, type TestCertificate } from '../../test/support/pki.ts';
import { attestationClient } from './attestation-client.ts';

const trustDomain = parseTrustDomain('example.org');
const now = Date.now();
const current = { notBefore: now - 60_000, notAfter: now + 3_600_000 };
const ca = issueCa(undefined, current);
const otherCa = issueCa(undefined, current);
const never = new AbortController().signal;

const services = [
  implement(agentService(), {
    AttestAgent: bidi(async function* (requests) {
      let step = 0;
      for await (const { challenge_response: answer } of requests) {
        step += 1;
        if (step === 1) yield { challenge: Buffer.from('why?') };
        else yield { result: { svid: { cert_chain: [answer ?? Buffer.alloc(0)] }, reattestable: true } };
      }
    }),
  }),
  implement(bundleService(), {
    GetBundle: unary(async () => ({
      trust_domain: 'example.org',
      x509_authorities: [{ asn1: ca.der, tainted: true }],
    })),
  }),
];

interface Running {
  readonly address: string;
  close(): Promise<void>;
}

async function serve(leaf: TestCertificate): Promise<Running> {
  const server = createRpcServer({ services, interceptors: [], log: silentLogger });
  const listener = await listenTls({
    host: '127.0.0.1',
    port: 0,
    identity: subject({ chain: [leaf.der], privateKey: leaf.key.privateKey }),
    verifyPeer: () => {
      throw new Error('no client certificate is expected');
    },
    onSocket: (socket, peer) => server.accept(socket, peer),
    log: silentLogger,
  });
  return {
    address: `127.0.0.1:${listener.port}`,
    async close() {
      await listener.close();
      await server.stop(0);
    },
  };
}

async function bundleFrom(address: string, roots: readonly Buffer[] | 'insecure') {
  const client = await attestationClient({ address, trustDomain }, roots, never);
  try {
    return await client.bundle(never);
  } finally {
    client.close();
  }
}

describe('the connection to the server', () => {
  let right: Running;
  let impostor: Running;
  beforeAll(async () => {
    right = await serve(issueSvid(ca, 'spiffe://example.org/spire/server', current));
    impostor = await serve(issueSvid(ca, 'spiffe://example.org/workload', current));
  });
  afterAll(async () => {
    await right.close();
    await impostor.close();
  });

  it.each([
    ['the bundle', [otherCa.der, ca.der]],
    ['insecure bootstrap', 'insecure' as const],
  ])('is made to the server under %s', async (_what, roots) => {
    const bundle = await bundleFrom(right.address, roots);
    expect(bundle.x509Authorities).toEqual([{ certificate: ca.der, tainted: true }]);
  });

  it.each([
    ['the bundle', [ca.der]],
    ['insecure bootstrap', 'insecure' as const],
  ])(
    'is refused to another member of the trust domain under %s, naming both IDs and the address',
    async (_what, roots) => {
      const refused = bundleFrom(impostor.address, roots);
      await expect(refused).rejects.toMatchObject({ code: 'unavailable' });
      await expect(refused).rejects.toThrow('spiffe://example.org/workload');
      await expect(refused).rejects.toThrow('spiffe://example.org/spire/server');
      await expect(refused).rejects.toThrow(impostor.address);
    },
  );

  it('is refused under another root in the words that callers look for', async () => {
    const refused = bundleFrom(right.address, [otherCa.der]);
    await expect(refused).rejects.toMatchObject({ code: 'unavailable' });
    await expect(refused).rejects.toThrow('certificate signed by unknown authority');
    await expect(refused).rejects.toThrow(right.address);
  });

  it.each([
    ['not yet valid', { notBefore: now + 1_800_000, notAfter: now + 3_600_000 }],
    ['expired', { notBefore: now - 60_000, notAfter: now - 30_000 }],
  ])('makes whoever sees a certificate that is %s look at the clock', async (_what, validity) => {
    const server = await serve(issueSvid(ca, 'spiffe://example.org/spire/server', validity));
    const refused = bundleFrom(server.address, [ca.der]);
    await expect(refused).rejects.toThrow(/certificate .*; are the clocks of this machine and of the server right\?$/);
    await server.close();
  });

  it.each([
    ['the bundle', [ca.der]],
    ['insecure bootstrap', 'insecure' as const],
  ])('names the address where nobody answers, under %s', async (_what, roots) => {
    const gone = await serve(issueSvid(ca, 'spiffe://example.org/spire/server', current));
    await gone.close();
    await expect(bundleFrom(gone.address, roots)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(gone.address),
    });
  });

  it('carries the attestation dialogue with its challenge', async () => {
    const attestor: AgentNodeAttestor = {
      type: 'x',
      begin: async () => ({
        payload: Buffer.from('me'),
        respond: async (challenge) => Buffer.concat([challenge, Buffer.from(' because')]),
      }),
    };
    const client = await attestationClient({ address: right.address, trustDomain }, [ca.der], never);
    const signed = await client.attest(attestor, Buffer.from('csr'), never);
    client.close();
    expect(signed).toEqual({ chain: [Buffer.from('why? because')], reattestable: true });
  });
});
