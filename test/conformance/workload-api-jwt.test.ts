import { describe, expect } from 'vitest';
import { workloadService } from '../../common/rpc/services.ts';
import { fromStruct } from '../../common/rpc/struct.ts';
import { readUnverifiedJwtSvid } from '../../spiffe/jwt/verify.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { generateSigner } from '../../spiffe/x509/key.ts';
import {
  next,
  openJwtBundles,
  testAuthority,
  testEntry,
  type WorkloadApiFixture,
  startedWorkloadApis,
  withHeader,
} from '../support/workload-api.ts';
import { row } from './row.ts';

// What our agent does for JWT-SVIDs, over real sockets.

const start = startedWorkloadApis();

const other = parseTrustDomain('other.org');
const ID_A = 'spiffe://example.org/a';
const ID_B = 'spiffe://example.org/b';
const denied = { code: 'permission-denied', message: 'no identity issued' };

const fetch = ({ channel }: WorkloadApiFixture, audience: readonly string[], id = '') =>
  channel.call(workloadService(), 'FetchJWTSVID', { audience, spiffe_id: id }, withHeader);
const validate = ({ channel }: WorkloadApiFixture, svid: string, audience: string) =>
  channel.call(workloadService(), 'ValidateJWTSVID', { svid, audience }, withHeader);
const token = ({ authority, clock }: WorkloadApiFixture, id: string, ...audience: string[]): Promise<string> =>
  authority.token({ id, audience, now: clock.now() });

/** An agent that serves the identities `a` and `b`, and `c` to another workload. */
async function withIdentities(): Promise<WorkloadApiFixture> {
  const agent = await start();
  agent.setEntries([testEntry('b', ['u:1'], { hint: 'web' }), testEntry('a', ['u:1']), testEntry('c', ['u:2'])]);
  agent.sign();
  return agent;
}

async function bundles(agent: WorkloadApiFixture): Promise<Readonly<Record<string, Buffer>>> {
  const stream = openJwtBundles(agent.channel);
  const message = await next(stream);
  await stream.return?.();
  return message.bundles;
}

describe('FetchJWTSVID', () => {
  row('WAPI-17')
    .refuses(
      'a request for a token without audience',
      async () => fetch(await withIdentities(), []),
      /audience must be/,
    )
    .refuses(
      'one with an empty audience',
      async () => fetch(await withIdentities(), ['']),
      /audience must be specified/,
    )
    .refuses('a validation without anything', async () => validate(await start(), '', ''), /audience must be specified/)
    .shows('the code is InvalidArgument', async () => {
      const agent = await withIdentities();
      await expect(fetch(agent, [])).rejects.toMatchObject({ code: 'invalid-argument' });
      await expect(validate(agent, '', 'x')).rejects.toMatchObject({ code: 'invalid-argument' });
    });

  row('WAPI-43')
    .accepts('a request with an audience', async () => fetch(await withIdentities(), ['x']))
    .refuses('one without', async () => fetch(await withIdentities(), []), /audience must be specified/);

  row('WAPI-44').shows('aud holds every audience that was asked for and no other', async () => {
    const { svids } = await fetch(await withIdentities(), ['x', 'y']);
    expect(svids.map(({ svid }) => readUnverifiedJwtSvid(svid).audience)).toEqual([
      ['x', 'y'],
      ['x', 'y'],
    ]);
  });

  row('WAPI-45').shows('without an ID there is a token for each identity', async () => {
    const { svids } = await fetch(await withIdentities(), ['x']);
    expect(svids.map(({ spiffe_id }) => spiffe_id)).toEqual([ID_A, ID_B]);
  });

  row('WAPI-46')
    .shows('with an ID there is a token for it alone', async () => {
      const { svids } = await fetch(await withIdentities(), ['x'], ID_B);
      expect(svids.map(({ spiffe_id }) => spiffe_id)).toEqual([ID_B]);
    })
    .refuses(
      'what is no ID',
      async () => fetch(await withIdentities(), ['x'], 'http://x'),
      /invalid requested SPIFFE ID/,
    );

  row('WAPI-47').shows('who has no identity gets no empty list', async () => {
    const agent = await start();
    await expect(fetch(agent, ['x'])).rejects.toMatchObject(denied);
  });

  row('WAPI-48').shows('ID and token are filled, and name one subject', async () => {
    const { svids } = await fetch(await withIdentities(), ['x']);
    for (const { spiffe_id, svid } of svids) expect(readUnverifiedJwtSvid(svid).claims['sub']).toBe(spiffe_id);
    expect(svids.map(({ hint }) => hint)).toEqual(['', 'web']);
  });

  row('WAPI-49').shows('of several identities with one hint one gets a token', async () => {
    const agent = await start();
    const hint = 'h';
    agent.setEntries([testEntry('a', ['u:1'], { hint, createdAt: 2 }), testEntry('b', ['u:1'], { hint })]);
    expect((await fetch(agent, ['x'])).svids).toMatchObject([{ spiffe_id: ID_B, hint }]);
  });

  row('WAPI-51').shows('the identity of another workload is denied', async () => {
    const agent = await withIdentities();
    await expect(fetch(agent, ['x'], 'spiffe://example.org/c')).rejects.toMatchObject(denied);
  });
});

describe('FetchJWTBundles', () => {
  row('WAPI-53').shows('the own trust domain is there', async () => {
    expect(Object.keys(await bundles(await withIdentities()))).toEqual(['spiffe://example.org']);
  });

  row('WAPI-54')
    .shows('a value is the UTF-8 of a JWK Set', async () => {
      const agent = await withIdentities();
      const [text] = Object.values(await bundles(agent));
      const document: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
      const keyId = agent.authority.bundle.jwtAuthorities[0]?.keyId;
      expect(document).toMatchObject({ keys: [{ kty: 'EC', crv: 'P-256', kid: keyId }] });
    })
    .shows('without keys the list is empty and not absent', async () => {
      const agent = await start();
      agent.setEntries([testEntry('a', ['u:1'])], { ...agent.authority.bundle, jwtAuthorities: [] });
      agent.sign();
      expect(JSON.parse(String((await bundles(agent))['spiffe://example.org']))).toEqual({ keys: [] });
    });

  row('WAPI-56').shows(
    'neither X.509 nor WIT authorities are among the keys, and nothing but the keys is there',
    async () => {
      const agent = await start();
      const { publicKey } = await generateSigner('ec-p256');
      const witAuthorities = [{ publicKey, keyId: 'of WIT-SVIDs', expiresAt: 0, tainted: false }];
      const { bundle } = agent.authority;
      expect(bundle.x509Authorities).not.toEqual([]);
      agent.setEntries([testEntry('a', ['u:1'])], { ...bundle, witAuthorities });
      agent.sign();
      const document = JSON.parse(String((await bundles(agent))['spiffe://example.org'])) as {
        keys: { kid: string }[];
      };
      expect(Object.keys(document)).toEqual(['keys']);
      expect(document.keys.map(({ kid }) => kid)).toEqual(bundle.jwtAuthorities.map(({ keyId }) => keyId));
    },
  );

  row('WAPI-57')
    .shows('a caller without an identity is denied', async () => {
      const { channel } = await start();
      await expect(openJwtBundles(channel).next()).rejects.toMatchObject(denied);
    })
    .shows('unless the operator lets everybody verify: then it sees the own bundle, and none of others', async () => {
      const agent = await start({ allowUnauthenticatedVerifiers: true });
      const foreign = await testAuthority(other);
      const entries = [testEntry('a', ['u:2'], { federatesWith: [other] })];
      agent.setEntries(entries, agent.authority.bundle, [foreign.bundle]);
      expect(Object.keys(await bundles(agent))).toEqual(['spiffe://example.org']);
    });
});

describe('ValidateJWTSVID', () => {
  // The rules of a token one by one: test/vectors/jwt-svid.json, by the function that this call uses.
  row('WAPI-60')
    .accepts('a good token', async () => {
      const agent = await start();
      await validate(agent, await token(agent, ID_A, 'me'), 'me');
    })
    .refuses(
      'a token for somebody else',
      async () => {
        const agent = await start();
        await validate(agent, await token(agent, ID_A, 'you'), 'me');
      },
      /expected audience in \["me"\]/,
    )
    .refuses(
      'a token signed by a key of another trust domain',
      async () => {
        const agent = await start();
        const foreign = await testAuthority(other);
        await validate(agent, await foreign.token({ id: ID_A, audience: ['me'], now: agent.clock.now() }), 'me');
      },
      /not found in trust domain "example.org"/,
    )
    .refuses(
      'a token of a trust domain without a bundle',
      async () => {
        const agent = await start();
        const foreign = await testAuthority(other);
        const svid = await foreign.token({ id: 'spiffe://other.org/w', audience: ['me'], now: agent.clock.now() });
        await validate(agent, svid, 'me');
      },
      /no keys found for trust domain "other.org"/,
    )
    .refuses(
      'a changed signature',
      async () => {
        const agent = await start();
        const good = await token(agent, ID_A, 'me');
        const end = good.endsWith('AAAA') ? 'BBBB' : 'AAAA';
        await validate(agent, `${good.slice(0, -4)}${end}`, 'me');
      },
      /signature cannot be verified/,
    )
    .refuses(
      'a token of the past',
      async () => {
        const agent = await start();
        const old = await token(agent, ID_A, 'me');
        await agent.clock.advance(360_000);
        await validate(agent, old, 'me');
      },
      /token has expired/,
    )
    .refuses('what is no token', async () => validate(await start(), 'no.token', 'me'), /unable to parse JWT token/)
    .shows('the code is InvalidArgument', async () => {
      await expect(validate(await start(), 'no.token', 'me')).rejects.toMatchObject({ code: 'invalid-argument' });
    });

  row('WAPI-61').shows('the claims of the token come back', async () => {
    const agent = await start();
    const now = Math.floor(agent.clock.now() / 1000);
    const { claims } = await validate(agent, await token(agent, ID_A, 'me', 'you'), 'me');
    expect(claims && fromStruct(claims)).toEqual({
      sub: ID_A,
      aud: ['me', 'you'],
      iat: now,
      exp: now + 300,
      iss: 'https://issuer.example',
    });
  });

  row('WAPI-62').shows('of a foreign token only sub, aud and exp, and what the operator allows', async () => {
    const foreign = await testAuthority(other);
    for (const allowed of [[], ['iss']]) {
      const agent = await start({ allowedForeignJwtClaims: allowed });
      agent.setEntries([testEntry('a', ['u:1'], { federatesWith: [other] })], undefined, [foreign.bundle]);
      agent.sign();
      const svid = await foreign.token({ id: 'spiffe://other.org/w', audience: ['me'], now: agent.clock.now() });
      const { claims } = await validate(agent, svid, 'me');
      expect(Object.keys(claims?.fields ?? {}).sort()).toEqual(['aud', 'exp', ...allowed, 'sub']);
    }
  });

  row('WAPI-63')
    .shows('the answer says whose token it is, and what it claims', async () => {
      const agent = await start();
      const answer = await validate(agent, await token(agent, ID_A, 'me'), 'me');
      expect(answer.spiffe_id).toBe(ID_A);
      expect(answer.claims).not.toBeNull();
    })
    .refuses('a request without audience', async () => validate(await start(), 'x', ''), /audience must be specified/)
    .refuses('a request without a token', async () => validate(await start(), '', 'me'), /svid must be specified/);
});
