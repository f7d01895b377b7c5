import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RpcChannel } from '../../../common/rpc/client.ts';
import { svidService } from '../../../common/rpc/services.ts';
import { parseCertificate, spiffeIdOf } from '../../../spiffe/x509/certificate.ts';
import { createCsr } from '../../../spiffe/x509/csr.ts';
import { generateSigner } from '../../../spiffe/x509/key.ts';
import { encodeName, formatName } from '../../../spiffe/x509/name.ts';
import {
  addNode,
  type Harness,
  id,
  localPeer,
  newEntry,
  openHarness,
  remotePeer,
} from '../../../test/support/server-api.ts';

const service = svidService();
const agent = id('/spire/agent/test/one');
const at = (path: string) => ({ trust_domain: 'example.org', path });
const signer = await generateSigner('ec-p256');
const request = (uris: readonly string[], dnsNames: readonly string[] = [], commonName?: string): Promise<Buffer> =>
  createCsr({ signer, subject: encodeName(commonName === undefined ? {} : { commonName }), uris, dnsNames });

/** The same request with a broken signature. */
const forged = (csr: Buffer): Buffer => {
  const copy = Buffer.from(csr);
  copy.writeUInt8(copy.readUInt8(copy.length - 1) ^ 1, copy.length - 1);
  return copy;
};

let harness: Harness;
let local: RpcChannel;
let caller: RpcChannel;

const open = async (options: Parameters<typeof openHarness>[0] = {}): Promise<void> => {
  harness = await openHarness(options);
  await addNode(harness.store, agent);
  local = await harness.as(localPeer);
  caller = await harness.as(remotePeer(agent));
};

beforeEach(() => open());
afterEach(() => harness.close());

const failure = (code: string, message: string | RegExp) => ({
  code,
  message: typeof message === 'string' ? message : (expect.stringMatching(message) as string),
});

const claimsOf = (token = ''): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

describe('minting an X509-SVID', () => {
  const mint = (csr: Buffer, ttl = 0) => local.call(service, 'MintX509SVID', { csr, ttl });

  it('takes ID, names and subject from the request', async () => {
    const { svid } = await mint(await request(['spiffe://example.org/w'], ['a.org'], 'me'), 60);
    const leaf = parseCertificate(svid?.cert_chain[0] ?? Buffer.alloc(0));
    expect([spiffeIdOf(leaf), leaf.dnsNames, svid?.id]).toEqual([id('/w'), ['a.org'], at('/w')]);
    expect(Number(svid?.expires_at)).toBe(harness.clock.now() / 1000 + 60);
    expect(formatName(leaf.subject)).toContain('CN=a.org');
    expect(leaf.publicKey.equals(signer.publicKey)).toBe(true);
  });

  it('lasts for the default time when none is asked for', async () => {
    const { svid } = await mint(await request(['spiffe://example.org/w']));
    expect(Number(svid?.expires_at)).toBe(harness.clock.now() / 1000 + 3600);
  });

  it('refuses in the order of the reference', async () => {
    const ok = 'spiffe://example.org/w';
    await expect(mint(Buffer.alloc(0))).rejects.toMatchObject(failure('invalid-argument', 'missing CSR'));
    await expect(mint(Buffer.from('x'))).rejects.toMatchObject(failure('invalid-argument', /^malformed CSR: /));
    await expect(mint(forged(await request([])))).rejects.toMatchObject(
      failure('invalid-argument', /^failed to verify CSR signature: /),
    );
    await expect(mint(await request([]))).rejects.toMatchObject(failure('invalid-argument', 'CSR URI SAN is required'));
    await expect(mint(await request([ok, 'spiffe://example.org/v']))).rejects.toMatchObject(
      failure('invalid-argument', 'only one URI SAN is expected'),
    );
    for (const bad of ['https://example.org', 'spiffe://other.org/w', 'spiffe://example.org/spire/server']) {
      await expect(mint(await request([bad]))).rejects.toMatchObject(
        failure('invalid-argument', /^CSR URI SAN is invalid: /),
      );
    }
    await expect(mint(await request([ok], ['a..b']))).rejects.toMatchObject(
      failure('invalid-argument', /^CSR DNS name is invalid: /),
    );
    await expect(mint(await request([ok], ['*.a.org', 'b.a.org']))).rejects.toMatchObject(
      failure('invalid-argument', /^CSR DNS name contains a wildcard that covers another non-wildcard name: /),
    );
  });
});

describe('minting a JWT-SVID', () => {
  const mint = (message: object) => local.call(service, 'MintJWTSVID', message);

  it('signs for the ID and audience, without an ID of the token', async () => {
    const { svid } = await mint({ id: at('/w'), audience: ['a', 'b'], ttl: 60 });
    const now = harness.clock.now() / 1000;
    expect(claimsOf(svid?.token)).toEqual({ sub: id('/w'), aud: ['a', 'b'], iat: now, exp: now + 60 });
    expect(svid).toMatchObject({ id: at('/w'), issued_at: String(now), expires_at: String(now + 60) });
  });

  it('refuses what cannot be', async () => {
    await expect(mint({ audience: ['a'] })).rejects.toMatchObject(
      failure('invalid-argument', 'invalid SPIFFE ID: request must specify SPIFFE ID'),
    );
    await expect(mint({ id: at('/spire/agent/x'), audience: ['a'] })).rejects.toMatchObject(
      failure('invalid-argument', /^invalid SPIFFE ID: .*reserved namespace$/),
    );
    await expect(mint({ id: at('/w') })).rejects.toMatchObject(
      failure('invalid-argument', 'at least one audience is required'),
    );
  });

  it('is unimplemented where JWT-SVIDs are disabled', async () => {
    await harness.close();
    await open({ jwtDisabled: true });
    const disabled = failure('unimplemented', 'JWT functionality is disabled');
    await expect(mint({})).rejects.toMatchObject(disabled);
    await expect(caller.call(service, 'NewJWTSVID', {})).rejects.toMatchObject(disabled);
  });
});

describe('an SVID for an entry', () => {
  const register = async (): Promise<void> => {
    const entry = newEntry({
      spiffeId: id('/w'),
      dnsNames: ['w.org'],
      x509SvidTtl: 60,
      jwtSvidTtl: 30,
      additionalAttributes: { disableX509SvidPrefetch: false, jwtSvidIncludeJti: true },
    });
    await harness.store.entries.create({ ...entry, id: 'mine' });
    await harness.store.entries.create({ ...newEntry({ parentId: id('/spire/agent/test/two') }), id: 'foreign' });
    await harness.clock.advance(0);
  };

  it('follows the entry, whatever else the request says', async () => {
    await register();
    const csr = await request(['spiffe://example.org/other'], ['evil.org'], 'evil');
    const params = [{ entry_id: 'mine', csr }];
    const { results } = await caller.call(service, 'BatchNewX509SVID', { params });
    const leaf = parseCertificate(results[0]?.svid?.cert_chain[0] ?? Buffer.alloc(0));
    expect([spiffeIdOf(leaf), leaf.dnsNames]).toEqual([id('/w'), ['w.org']]);
    expect(results[0]?.status).toEqual({ code: 0, message: 'OK' });
    expect(Number(results[0]?.svid?.expires_at)).toBe(harness.clock.now() / 1000 + 60);
    expect(formatName(leaf.subject)).not.toContain('evil');
  });

  it('is judged item by item, in the order of the request', async () => {
    await register();
    const csr = await request([]);
    const params = [
      { entry_id: '', csr },
      { entry_id: 'mine' },
      { entry_id: 'none', csr },
      { entry_id: 'foreign', csr },
      { entry_id: 'mine', csr: Buffer.from('x') },
      { entry_id: 'mine', csr: forged(csr) },
      { entry_id: 'mine', csr },
    ];
    const { results } = await caller.call(service, 'BatchNewX509SVID', { params });
    expect(results.map(({ status }) => `${status?.code} ${status?.message.replace(/: .*/s, '')}`)).toEqual([
      '3 missing entry ID',
      '3 missing CSR',
      '5 entry not found or not authorized',
      '5 entry not found or not authorized',
      '3 malformed CSR',
      '3 invalid CSR signature',
      '0 OK',
    ]);
  });

  it('is not given for nothing, nor for more than the burst', async () => {
    await expect(caller.call(service, 'BatchNewX509SVID', {})).rejects.toMatchObject(
      failure('invalid-argument', 'missing parameters'),
    );
    const params = Array.from({ length: 501 }, () => ({}));
    await expect(caller.call(service, 'BatchNewX509SVID', { params })).rejects.toMatchObject(
      failure(
        'resource-exhausted',
        'rejecting request due to certificate signing rate limiting: rate (501) exceeds burst size (500)',
      ),
    );
  });

  it('as JWT follows the entry too, with an ID of the token where it asks for one', async () => {
    await register();
    const { svid } = await caller.call(service, 'NewJWTSVID', { entry_id: 'mine', audience: ['a'] });
    const now = harness.clock.now() / 1000;
    expect(claimsOf(svid?.token)).toMatchObject({ sub: id('/w'), exp: now + 30, jti: expect.any(String) as string });
  });

  it('as JWT is refused: entry before audience', async () => {
    await register();
    const ask = (message: object) => caller.call(service, 'NewJWTSVID', message);
    await expect(ask({ entry_id: 'foreign' })).rejects.toMatchObject(
      failure('not-found', 'entry not found or not authorized'),
    );
    await expect(ask({ entry_id: 'mine' })).rejects.toMatchObject(
      failure('invalid-argument', 'at least one audience is required'),
    );
  });

  it('is not given any more once the entry is gone', async () => {
    await register();
    await harness.store.entries.delete('mine');
    await harness.clock.advance(0);
    await expect(caller.call(service, 'NewJWTSVID', { entry_id: 'mine', audience: ['a'] })).rejects.toMatchObject(
      failure('not-found', 'entry not found or not authorized'),
    );
  });
});

describe('WIT-SVIDs', () => {
  it('are disabled', async () => {
    await expect(local.call(service, 'MintWITSVID', {})).rejects.toMatchObject(
      failure('unimplemented', 'WIT functionality is disabled'),
    );
  });
});
