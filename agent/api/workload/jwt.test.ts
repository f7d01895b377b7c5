import { describe, expect, it } from 'vitest';
import { FinialError } from '../../../common/errors.ts';
import { workloadService } from '../../../common/rpc/services.ts';
import { fromStruct } from '../../../common/rpc/struct.ts';
import { readUnverifiedJwtSvid } from '../../../spiffe/jwt/verify.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import {
  testAuthority,
  testEntry,
  startedWorkloadApis,
  type WorkloadApiFixture,
  withHeader,
} from '../../../test/support/workload-api.ts';

const start = startedWorkloadApis();

const fetch = ({ channel }: WorkloadApiFixture, audience: readonly string[], id = '') =>
  channel.call(workloadService(), 'FetchJWTSVID', { audience, spiffe_id: id }, withHeader);
const validate = ({ channel }: WorkloadApiFixture, svid: string, audience: string) =>
  channel.call(workloadService(), 'ValidateJWTSVID', { svid, audience }, withHeader);

describe('FetchJWTSVID', () => {
  it('gives one token per identity, by entry ID, also before X509-SVIDs are signed', async () => {
    const fixture = await start();
    fixture.setEntries([testEntry('b', ['u:1'], { hint: 'web' }), testEntry('a', ['u:1']), testEntry('c', ['u:2'])]);
    const { svids } = await fetch(fixture, ['x', 'y']);
    expect(svids.map(({ spiffe_id, hint }) => [spiffe_id, hint])).toEqual([
      ['spiffe://example.org/a', ''],
      ['spiffe://example.org/b', 'web'],
    ]);
    for (const { spiffe_id, svid } of svids) {
      expect(readUnverifiedJwtSvid(svid)).toMatchObject({ id: spiffe_id, audience: ['x', 'y'] });
    }
  });

  it('gives the one that is asked for', async () => {
    const fixture = await start();
    fixture.setEntries([testEntry('a', ['u:1']), testEntry('b', ['u:1'])]);
    const { svids } = await fetch(fixture, ['x'], 'spiffe://example.org/b');
    expect(svids.map((one) => one.spiffe_id)).toEqual(['spiffe://example.org/b']);
    expect(fixture.log).toMatchObject([
      { message: 'Fetched JWT SVID', fields: { spiffe_id: 'spiffe://example.org/b' } },
    ]);
    expect(JSON.stringify(fixture.log)).not.toContain(svids[0]?.svid);
  });

  it('lets the hint decide before the ID is looked at', async () => {
    const fixture = await start();
    fixture.setEntries([testEntry('a', ['u:1'], { hint: 'h' }), testEntry('b', ['u:1'], { hint: 'h', createdAt: 2 })]);
    await expect(fetch(fixture, ['x'], 'spiffe://example.org/b')).rejects.toMatchObject({
      code: 'permission-denied',
      message: 'no identity issued',
    });
  });

  it.each<[string, readonly string[], string, string]>([
    ['no audience', [], '', 'audience must be specified'],
    ['no ID', ['x'], 'http://x', 'invalid requested SPIFFE ID: scheme is missing or invalid'],
  ])('judges the request before the caller: %s', async (_what, audience, id, message) => {
    const fixture = await start();
    fixture.state.attestorFails = true;
    await expect(fetch(fixture, audience, id)).rejects.toMatchObject({ code: 'invalid-argument', message });
  });

  it('gives nothing to those who have no identity, or not this one', async () => {
    const fixture = await start();
    await expect(fetch(fixture, ['x'])).rejects.toMatchObject({
      code: 'permission-denied',
      message: 'no identity issued',
    });
    fixture.setEntries([testEntry('a', ['u:1'])]);
    const another = fetch(fixture, ['x'], 'spiffe://example.org/b');
    await expect(another).rejects.toMatchObject({ code: 'permission-denied', message: 'no identity issued' });
  });

  it('may be tried again when the server gave no token', async () => {
    const fixture = await start();
    fixture.setEntries([testEntry('a', ['u:1'])]);
    fixture.state.jwtFailure = new FinialError('permission-denied', 'not yours');
    await expect(fetch(fixture, ['x'])).rejects.toMatchObject({
      code: 'unavailable',
      message: 'could not fetch JWT-SVID: not yours',
    });
  });
});

describe('ValidateJWTSVID', () => {
  const token = ({ authority, clock }: WorkloadApiFixture, ...audience: string[]): Promise<string> =>
    authority.token({ id: 'spiffe://example.org/w', audience, now: clock.now() });

  it('tells what a good token says, to callers without an identity too', async () => {
    const fixture = await start();
    const { spiffe_id: id, claims } = await validate(fixture, await token(fixture, 'me'), 'me');
    expect(id).toBe('spiffe://example.org/w');
    const now = Math.floor(fixture.clock.now() / 1000);
    expect(claims && fromStruct(claims)).toEqual({
      sub: 'spiffe://example.org/w',
      aud: ['me'],
      iat: now,
      exp: now + 300,
      iss: 'https://issuer.example',
    });
  });

  it.each([
    ['audience', 'x', '', 'audience must be specified'],
    ['token', '', 'me', 'svid must be specified'],
  ])('needs the %s', async (_what, svid, audience, message) => {
    await expect(validate(await start(), svid, audience)).rejects.toMatchObject({ code: 'invalid-argument', message });
  });

  it('refuses tokens for others, of unknown domains, and of the past, without repeating them', async () => {
    const fixture = await start();
    const good = await token(fixture, 'you');
    const foreign = await testAuthority(parseTrustDomain('other.org'));
    const stranger = await foreign.token({ id: 'spiffe://other.org/w', audience: ['me'], now: fixture.clock.now() });
    const forged = await foreign.token({ id: 'spiffe://example.org/w', audience: ['me'], now: fixture.clock.now() });
    const refused = (message: string) => ({
      code: 'invalid-argument',
      message: expect.stringContaining(message) as string,
    });
    await expect(validate(fixture, good, 'me')).rejects.toMatchObject(
      refused('expected audience in ["me"] (audience=["you"])'),
    );
    await expect(validate(fixture, stranger, 'me')).rejects.toMatchObject(
      refused('no keys found for trust domain "other.org"'),
    );
    await expect(validate(fixture, forged, 'me')).rejects.toMatchObject(
      refused('not found in trust domain "example.org"'),
    );
    await expect(validate(fixture, 'no.token', 'me')).rejects.toMatchObject(refused('unable to parse JWT token'));
    await fixture.clock.advance(360_000);
    await expect(validate(fixture, good, 'you')).rejects.toMatchObject(refused('token has expired'));
    const logged = JSON.stringify(fixture.log.map(({ fields }) => String(fields['error'])));
    for (const one of [good, stranger, forged]) expect(logged).not.toContain(one.split('.')[2]);
  });

  it('passes on of foreign tokens only what means the same everywhere, and what the operator allows', async () => {
    const other = parseTrustDomain('other.org');
    const foreign = await testAuthority(other);
    for (const allowed of [[], ['iss']]) {
      const fixture = await start({ allowedForeignJwtClaims: allowed });
      fixture.setEntries([testEntry('a', ['u:1'], { federatesWith: [other] })], undefined, [foreign.bundle]);
      const svid = await foreign.token({ id: 'spiffe://other.org/w', audience: ['me'], now: fixture.clock.now() });
      await expect(validate(fixture, svid, 'me')).rejects.toThrow('no keys found');
      fixture.sign();
      const { claims } = await validate(fixture, svid, 'me');
      expect(Object.keys(claims?.fields ?? {}).sort()).toEqual(['aud', 'exp', ...allowed, 'sub']);
    }
  });
});
