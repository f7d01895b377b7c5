import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../common/clock.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { verifyJwtSvid } from '../../spiffe/jwt/verify.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import { readWitSvidKey } from '../../spiffe/wit/confirmation.ts';
import { verifyUnprovenWitSvid } from '../../spiffe/wit/verify.ts';
import type { X509Svid } from '../source.ts';
import { createTestAuthority, type TestAuthority } from './authority.ts';
import { createTestSource } from './source.ts';

const web = 'spiffe://a.test/web';
const clock = new ManualClock();

function verify(authority: TestAuthority, { chain }: X509Svid, now = clock.now()) {
  return verifyX509Svid(chain, (of) => authority.x509Bundles.get(of), now).id;
}

describe('createTestAuthority', () => {
  it('issues X509-SVIDs that its bundle verifies', async () => {
    const authority = await createTestAuthority('a.test', { clock });
    const svid = await authority.issueX509(web, { ttlSeconds: 60, hint: 'h', dnsNames: ['web.test', 'w.test'] });
    expect(svid).toMatchObject({ id: web, hint: 'h', notAfter: clock.now() + 60_000 });
    expect(verify(authority, svid)).toBe(web);
    expect(parseCertificate(svid.chain[0] ?? Buffer.alloc(0)).dnsNames).toEqual(['web.test', 'w.test']);
  });

  it('issues what has expired already', async () => {
    const authority = await createTestAuthority('a.test', { clock });
    const svid = await authority.issueX509(web, { ttlSeconds: 60, issuedAt: clock.now() - 120_000 });
    expect(() => verify(authority, svid)).toThrow(/expired/);
  });

  it('renews an SVID with a new key and all that it said, for now', async () => {
    const authority = await createTestAuthority('a.test', { clock });
    const old = await authority.issueX509(web, { ttlSeconds: 60, issuedAt: 0, hint: 'h', dnsNames: ['web.test'] });
    const renewed = await authority.renewX509(old);
    expect(renewed).toMatchObject({ id: web, hint: 'h', notAfter: clock.now() + 60_000 });
    expect(parseCertificate(renewed.chain[0] ?? Buffer.alloc(0)).dnsNames).toEqual(['web.test']);
    expect(renewed.privateKey.equals(old.privateKey)).toBe(false);
    const other = await createTestAuthority('a.test', { clock });
    await expect(other.renewX509(old)).rejects.toThrow('was not issued by this authority');
  });

  it('issues JWT-SVIDs that its bundle verifies', async () => {
    const authority = await createTestAuthority('a.test', { clock });
    const token = await authority.issueJwt(web, ['x', 'y'], { ttlSeconds: 10 });
    const authorities = (of: TrustDomain) => authority.jwtBundles.get(of);
    const verified = await verifyJwtSvid(token, { audience: ['y'], authorities, now: clock.now() });
    expect(verified).toMatchObject({ id: web, audience: ['x', 'y'], expiresAt: clock.now() / 1000 + 10 });
  });

  it('issues WIT-SVIDs with their keys, by a key of their own kind', async () => {
    const authority = await createTestAuthority('a.test', { clock });
    const { token, key } = await authority.issueWit(web);
    const { witAuthorities, jwtAuthorities } = authority.bundle;
    const judge = (authorities: typeof witAuthorities) =>
      verifyUnprovenWitSvid(token, { authorities: () => authorities, now: clock.now() });
    const svid = await judge(witAuthorities);
    expect(svid.id).toBe(web);
    expect(readWitSvidKey(key, svid.confirmation).privateKey.type).toBe('private');
    await expect(judge(jwtAuthorities)).rejects.toThrow(/not found in trust domain/);
  });

  it('keeps the old root until it is retired, and counts', async () => {
    const authority = await createTestAuthority('a.test', { clock });
    const old = await authority.issueX509(web);
    const sequences: bigint[] = [];
    authority.onUpdate(() => sequences.push(authority.bundle.sequenceNumber));
    await authority.rotate();
    const fresh = await authority.issueX509(web);
    expect([verify(authority, old), verify(authority, fresh)]).toEqual([web, web]);
    expect(authority.bundle.jwtAuthorities).toHaveLength(2);
    authority.retire();
    expect(verify(authority, fresh)).toBe(web);
    expect(() => verify(authority, old)).toThrow(/does not chain|authority|trusted|root/);
    expect(sequences).toEqual([2n, 3n]);
  });

  it('vouches for nobody of another trust domain', async () => {
    const authority = await createTestAuthority('a.test', { clock });
    await expect(authority.issueX509('spiffe://b.test/web')).rejects.toThrow('is not of the trust domain a.test');
    await expect(authority.issueJwt('spiffe://b.test/web', ['x'])).rejects.toThrow('is not of the trust domain a.test');
    await expect(authority.issueX509('spiffe://a.test')).rejects.toThrow('must have a path');
  });

  it('uses keys of the kind it is told to', async () => {
    const authority = await createTestAuthority('a.test', { clock, keyType: 'ec-p384' });
    const svid = await authority.issueX509(web);
    expect(svid.privateKey.asymmetricKeyDetails?.namedCurve).toBe('secp384r1');
    expect(verify(authority, svid)).toBe(web);
  });
});

describe('createTestSource', () => {
  it('presents one identity and trusts whom it is federated with, through rotations', async () => {
    const a = await createTestAuthority('a.test', { clock });
    const b = await createTestAuthority('b.test', { clock });
    const source = await createTestSource(a, web);
    let updates = 0;
    source.onUpdate(() => {
      updates += 1;
    });
    const before = source.svid;
    source.federate(b);
    await b.rotate();
    await a.rotate();
    await source.renew();
    a.retire();
    expect(updates).toBe(5);
    expect(source.svid).not.toBe(before);
    expect(verify(a, source.svid)).toBe(web);
    expect(source.x509Bundles.get(b.trustDomain)).toHaveLength(2);
    expect(source.x509Bundles.get(a.trustDomain)).toHaveLength(1);
    expect(source.jwtBundles.get(b.trustDomain)).toHaveLength(2);
  });
});
