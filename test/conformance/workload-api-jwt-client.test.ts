import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { createJwtSource } from '../../client/jwt-source.ts';
import { FinialError } from '../../common/errors.ts';
import { unary } from '../../common/rpc/service.ts';
import { toStruct } from '../../common/rpc/struct.ts';
import type { JWTBundlesResponse } from '../../proto/gen/workload/JWTBundlesResponse.ts';
import type { JWTSVID } from '../../proto/gen/workload/JWTSVID.ts';
import type { ValidateJWTSVIDResponse } from '../../proto/gen/workload/ValidateJWTSVIDResponse.ts';
import { jwksOf } from '../../spiffe/bundle/json.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { scriptedAgent, scriptedStream } from '../support/scripted-agent.ts';
import { testAuthority } from '../support/workload-api.ts';
import { row } from './row.ts';

// What our client does with JWT-SVIDs, against an agent that says what a test wants, right or wrong.

const own = parseTrustDomain('example.org');
const other = parseTrustDomain('other.org');
const ID = 'spiffe://example.org/w';
const authority = await testAuthority(own);
const foreign = await testAuthority(other);

const jwks = (of: typeof authority): Buffer => Buffer.from(jwksOf(of.bundle));
const twoSets = { 'spiffe://example.org': jwks(authority), 'spiffe://other.org': jwks(foreign) };
const bothJwtBundles: JWTBundlesResponse = { bundles: twoSets };
const token = (id = ID, audience = ['me'], of = authority): Promise<string> =>
  of.token({ id, audience, now: Date.now() });

/** What our client makes of the tokens of an answer to a request for these audiences. */
async function fetched(svids: readonly JWTSVID[], audience: readonly string[] = ['me']) {
  await using agent = await scriptedAgent({ FetchJWTSVID: unary(async () => ({ svids })) });
  return await agent.api.fetchJwtSvids({ audience });
}

async function validated(answer: ValidateJWTSVIDResponse) {
  await using agent = await scriptedAgent({ ValidateJWTSVID: unary(async () => answer) });
  return await agent.api.validateJwtSvid('token', 'me');
}

describe('JWT-SVIDs', () => {
  row('WAPI-50').shows('the first of one hint stays, and everything without a hint', async () => {
    const svids = ['h', '', 'h', ''].map(async (hint, index) => {
      const id = `${ID}${index}`;
      return { spiffe_id: id, svid: await token(id), hint };
    });
    const kept = await fetched(await Promise.all(svids));
    expect(kept.map(({ id, hint }) => [id.slice(ID.length), hint])).toEqual([
      ['0', 'h'],
      ['1', ''],
      ['3', ''],
    ]);
  });

  row('WAPI-18')
    .refuses('an answer without tokens', () => fetched([]), /svids is empty/)
    .refuses('a token without an ID', async () => fetched([{ svid: await token() }]), /spiffe_id is empty/)
    .refuses('an ID without a token', () => fetched([{ spiffe_id: ID }]), /svid is empty/);

  row('WAPI-48')
    .refuses(
      'a token of another subject than its ID',
      async () => fetched([{ spiffe_id: `${ID}2`, svid: await token() }]),
      /not the subject/,
    )
    .accepts('one of its subject', async () => fetched([{ spiffe_id: ID, svid: await token() }]));

  row('WAPI-44').refuses(
    'a token without one of the audiences',
    async () => fetched([{ spiffe_id: ID, svid: await token() }], ['me', 'you']),
    /lacks an audience/,
  );

  const claims = toStruct({ sub: ID, aud: ['me'], exp: 1 });
  row('WAPI-63')
    .accepts('an answer with ID and claims', () => validated({ spiffe_id: ID, claims }))
    .refuses('one without an ID', () => validated({ claims }), /malformed answer.*spiffe_id is empty/)
    .refuses('one without claims', () => validated({ spiffe_id: ID }), /malformed answer.*claims are missing/);
});

describe('judging tokens', () => {
  const judging = async () => {
    const agent = await scriptedAgent({
      FetchJWTBundles: scriptedStream([bothJwtBundles]),
      ValidateJWTSVID: unary(async ({ svid }) => {
        if (svid !== 'as the agent likes it') throw new FinialError('invalid-argument', 'token has expired');
        return { spiffe_id: ID, claims: toStruct({ sub: ID, aud: ['me'], exp: 1 }) };
      }),
    });
    const source = await createJwtSource({ api: agent.api, clock: agent.clock });
    return {
      ...{ agent, source },
      async [Symbol.asyncDispose]() {
        source.close();
        await agent[Symbol.asyncDispose]();
      },
    };
  };

  row('WAPI-64')
    .shows('validate leaves the judgement to the agent, whatever it is', async () => {
      await using run = await judging();
      expect((await run.source.validate('as the agent likes it', 'me')).id).toBe(ID);
      await expect(run.source.validate(await token(), 'me')).rejects.toThrow('token has expired');
    })
    .shows('judging locally has another name, and is not what the documentation recommends', async () => {
      await using run = await judging();
      expect((await run.source.validateLocally(await token(), 'me')).id).toBe(ID);
      expect(run.agent.calls.map(({ method }) => method)).toEqual(['/SpiffeWorkloadAPI/FetchJWTBundles']);
      const documentation = readFileSync(path.resolve(import.meta.dirname, '../../client/jwt-source.ts'), 'utf8');
      expect(documentation).toContain(
        'Lets the agent judge a token meant for `audience`: the way that the standard prefers',
      );
    });

  const locally = async (svid: Promise<string>) => {
    await using run = await judging();
    return await run.source.validateLocally(await svid, 'me');
  };
  row('WAPI-65')
    .accepts('a token signed by a key of its own domain', () => locally(token('spiffe://other.org/w', ['me'], foreign)))
    .refuses(
      'a token signed by a key of another domain',
      () => locally(token(ID, ['me'], foreign)),
      /public key "key of other.org" not found in trust domain "example.org"/,
    );
  row('WAPI-66')
    .accepts('a token of a domain whose bundle is there', () => locally(token()))
    .refuses(
      'a token of any other',
      () => locally(token('spiffe://third.org/w')),
      /no keys found for trust domain "third.org"/,
    );
});
