import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RpcChannel } from '../../../common/rpc/client.ts';
import { bundleService } from '../../../common/rpc/services.ts';
import { generateSigner } from '../../../spiffe/x509/key.ts';
import { type Harness, localPeer, openHarness, remotePeer, trustDomain } from '../../../test/support/server-api.ts';

const service = bundleService();

let harness: Harness;
let local: RpcChannel;

beforeEach(async () => {
  harness = await openHarness();
  local = await harness.as(localPeer);
});

afterEach(() => harness.close());

const failure = (code: string, message: string | RegExp) => ({
  code,
  message: typeof message === 'string' ? message : (expect.stringMatching(message) as string),
});

describe('the own bundle', () => {
  it('is there for anyone, masked as asked', async () => {
    const anyone = await harness.as(remotePeer());
    const bundle = await anyone.call(service, 'GetBundle', {});
    expect([bundle.trust_domain, bundle.x509_authorities.length, bundle.jwt_authorities.length]).toEqual([
      'example.org',
      1,
      1,
    ]);
    const masked = await anyone.call(service, 'GetBundle', { output_mask: { sequence_number: true } });
    expect(masked).toMatchObject({
      trust_domain: 'example.org',
      sequence_number: bundle.sequence_number,
      x509_authorities: [],
      jwt_authorities: [],
    });
  });

  it('takes more authorities, and shows them at once', async () => {
    const other = await openHarness();
    const { x509Authorities: [authority] = [] } = (await other.store.bundles.get(trustDomain)) ?? {};
    await other.close();
    const { publicKey } = await generateSigner('ec-p256');
    const asn1 = authority?.certificate ?? Buffer.alloc(0);
    const appended = await local.call(service, 'AppendBundle', {
      x509_authorities: [{ asn1, tainted: true }],
      jwt_authorities: [{ public_key: publicKey, key_id: 'k', expires_at: 5, tainted: true }],
    });
    expect(appended.x509_authorities[1]).toEqual({ asn1, tainted: false });
    expect(appended.jwt_authorities[1]).toEqual({
      public_key: publicKey,
      key_id: 'k',
      expires_at: '5',
      tainted: false,
    });
    expect(await local.call(service, 'GetBundle', {})).toEqual(appended);
    expect(await local.call(service, 'CountBundles', {})).toEqual({ count: 1 });
  });

  it('refuses what are no authorities', async () => {
    const append = (request: object) => local.call(service, 'AppendBundle', request);
    const { publicKey } = await generateSigner('ec-p256');
    await expect(append({})).rejects.toMatchObject(failure('invalid-argument', 'no authorities to append'));
    await expect(append({ x509_authorities: [{ asn1: Buffer.from('x') }] })).rejects.toMatchObject(
      failure('invalid-argument', /^failed to convert X.509 authority: /),
    );
    await expect(append({ x509_authorities: [{}] })).rejects.toMatchObject(
      failure('invalid-argument', 'failed to convert X.509 authority: certificate is missing'),
    );
    await expect(append({ jwt_authorities: [{ public_key: Buffer.from('x'), key_id: 'k' }] })).rejects.toMatchObject(
      failure('invalid-argument', /^failed to convert JWT authority: /),
    );
    await expect(append({ jwt_authorities: [{ public_key: publicKey }] })).rejects.toMatchObject(
      failure('invalid-argument', 'failed to convert JWT authority: missing key ID'),
    );
  });
});
