import { describe, expect } from 'vitest';
import { createBundleSource } from '../../client/bundle-source.ts';
import type { JwtBundles, X509Bundles } from '../../client/source.ts';
import type { WorkloadApi } from '../../client/workload-api.ts';
import { FinialError } from '../../common/errors.ts';
import type { JWTBundlesResponse } from '../../proto/gen/workload/JWTBundlesResponse.ts';
import type { X509BundlesResponse } from '../../proto/gen/workload/X509BundlesResponse.ts';
import { jwksOf } from '../../spiffe/bundle/json.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import { signJwtSvid } from '../../spiffe/jwt/sign.ts';
import { verifyJwtSvid } from '../../spiffe/jwt/verify.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import { issueCa, issueSvid } from '../support/pki.ts';
import { deferred } from '../support/rpc-pair.ts';
import {
  currentCa,
  type ScriptedAgent,
  scriptedAgent,
  scriptedStream,
  type Step,
  validity,
} from '../support/scripted-agent.ts';
import { testAuthority } from '../support/workload-api.ts';
import { row } from './row.ts';

// What our client does with bundles, against an agent that says what a test wants, right or wrong.

const own = parseTrustDomain('example.org');
const other = parseTrustDomain('other.org');
const ID = 'spiffe://example.org/w';
const ca = currentCa();
const authority = await testAuthority(own);
const foreign = await testAuthority(other);
const denied = new FinialError('permission-denied', 'no identity issued');

const jwks = (of: typeof authority): Buffer => Buffer.from(jwksOf(of.bundle));
const twoSets = { 'spiffe://example.org': jwks(authority), 'spiffe://other.org': jwks(foreign) };
const jwtBundles: JWTBundlesResponse = { bundles: { 'spiffe://example.org': jwks(authority) } };
const bothJwtBundles: JWTBundlesResponse = { bundles: twoSets };
const x509Bundles: X509BundlesResponse = { bundles: { 'spiffe://example.org': ca.der } };
const bothX509Bundles: X509BundlesResponse = { bundles: { ...x509Bundles.bundles, 'spiffe://other.org': ca.der } };

async function jwtBundlesOf(bundles: Readonly<Record<string, Buffer>>) {
  await using agent = await scriptedAgent({
    FetchJWTBundles: scriptedStream<object, JWTBundlesResponse>([{ bundles }]),
  });
  return await agent.api.jwtBundles.fetch();
}

/** A source of all bundles. */
async function bundleSource(x509: readonly Step<X509BundlesResponse>[], jwt: readonly Step<JWTBundlesResponse>[]) {
  const agent = await scriptedAgent({
    FetchX509Bundles: scriptedStream(x509, []),
    FetchJWTBundles: scriptedStream(jwt, []),
  });
  const source = await createBundleSource({ api: agent.api, clock: agent.clock });
  return {
    source,
    async [Symbol.asyncDispose]() {
      source.close();
      await agent[Symbol.asyncDispose]();
    },
  };
}

/** Waits until the source has an update after the gate was opened. */
async function updateAfter(
  gate: { resolve(): void },
  source: { onUpdate(listener: () => void): () => void },
): Promise<void> {
  const updated = new Promise<void>((resolve) => void source.onUpdate(resolve));
  gate.resolve();
  await updated;
}

/** How a stream that is denied four times and then answered is asked for. */
async function waitsUntilAnswered(
  agent: ScriptedAgent,
  stream: WorkloadApi['x509Bundles'] | WorkloadApi['jwtBundles'],
) {
  await using open = agent;
  for await (const _update of stream.watch()) break;
  return open.clock.waits.map(Math.round);
}

describe('what bundles are for', () => {
  // One key that is an X.509 authority here and a JWT authority there: each kind of bundle verifies its own kind only.
  const jwtSignedByCa = () =>
    signJwtSvid({
      ...{ signer: authority.jwtSigner, keyId: 'k', audience: ['me'], id: parseSpiffeId(ID) },
      issuedAt: Math.floor(Date.now() / 1000),
      expiresAt: Math.floor(Date.now() / 1000) + 60,
    });
  const { privateKey, publicKey } = authority.jwtSigner;
  const sharedCa = issueCa(undefined, { ...validity(), key: { privateKey, spki: publicKey } });

  const kept = (bundles: { readonly x509Bundles: X509Bundles; readonly jwtBundles: JwtBundles }) => ({
    jwt: async () =>
      verifyJwtSvid(await jwtSignedByCa(), {
        audience: ['me'],
        authorities: (one) => bundles.jwtBundles.get(one),
        now: Date.now(),
      }),
    x509: () =>
      verifyX509Svid([issueSvid(sharedCa, ID, validity()).der], (one) => bundles.x509Bundles.get(one), Date.now()),
  });

  const jwtOnly = {
    'spiffe://example.org': Buffer.from(
      jwksOf({ jwtAuthorities: [{ publicKey, keyId: 'k', expiresAt: 0, tainted: false }] }),
    ),
  };
  const none = { 'spiffe://example.org': Buffer.from('{"keys":[]}') };

  for (const id of ['WAPI-21', 'WAPI-37']) {
    row(id).shows('an X.509 authority verifies X509-SVIDs, and no JWT-SVID that its key signed', async () => {
      await using run = await bundleSource(
        [{ bundles: { 'spiffe://example.org': sharedCa.der } }],
        [{ bundles: none }],
      );
      const verify = kept(run.source);
      expect(verify.x509().id).toBe(ID);
      await expect(verify.jwt()).rejects.toThrow('not found in trust domain "example.org"');
    });
  }
  row('WAPI-52').shows('a JWT authority verifies JWT-SVIDs, and no X509-SVID that its key signed', async () => {
    await using run = await bundleSource([x509Bundles], [{ bundles: jwtOnly }]);
    const verify = kept(run.source);
    expect((await verify.jwt()).id).toBe(ID);
    expect(verify.x509).toThrow(/authority|trust/);
  });
});

describe('streams of bundles', () => {
  row('WAPI-41').shows('a denied client asks again, ever more rarely', async () => {
    const script = scriptedStream<object, X509BundlesResponse>([denied], [denied], [denied], [denied], [x509Bundles]);
    const agent = await scriptedAgent({ FetchX509Bundles: script });
    expect(await waitsUntilAnswered(agent, agent.api.x509Bundles)).toEqual([200, 340, 578, 983]);
  });

  row('WAPI-58').shows('a denied client asks again, ever more rarely', async () => {
    const script = scriptedStream<object, JWTBundlesResponse>([denied], [denied], [denied], [denied], [jwtBundles]);
    const agent = await scriptedAgent({ FetchJWTBundles: script });
    expect(await waitsUntilAnswered(agent, agent.api.jwtBundles)).toEqual([200, 340, 578, 983]);
  });

  row('WAPI-42')
    .shows('a bundle that is missing from a message is gone', async () => {
      const gate = deferred();
      await using run = await bundleSource([bothX509Bundles, gate.promise, x509Bundles], [jwtBundles]);
      expect([...run.source.x509Bundles.keys()]).toEqual([own, other]);
      await updateAfter(gate, run.source);
      expect([...run.source.x509Bundles.keys()]).toEqual([own]);
    })
    .shows('after a denial there is none', async () => {
      const gate = deferred();
      await using run = await bundleSource([x509Bundles, gate.promise, denied], [jwtBundles]);
      await updateAfter(gate, run.source);
      expect(() => run.source.x509Bundles).toThrow('no identity issued');
      expect([...run.source.jwtBundles.keys()]).toEqual([own]);
    });

  row('WAPI-59')
    .shows('a bundle that is missing from a message is gone', async () => {
      const gate = deferred();
      await using run = await bundleSource([x509Bundles], [bothJwtBundles, gate.promise, jwtBundles]);
      expect([...run.source.jwtBundles.keys()]).toEqual([own, other]);
      await updateAfter(gate, run.source);
      expect([...run.source.jwtBundles.keys()]).toEqual([own]);
    })
    .shows('after a denial there is none', async () => {
      const gate = deferred();
      await using run = await bundleSource([x509Bundles], [jwtBundles, gate.promise, denied]);
      await updateAfter(gate, run.source);
      expect(() => run.source.jwtBundles).toThrow('no identity issued');
    });

  row('WAPI-54')
    .accepts('a JWK Set', async () => {
      const bundles = await jwtBundlesOf(twoSets);
      expect(bundles.get(other)?.map(({ keyId }) => keyId)).toEqual(['key of other.org']);
    })
    .accepts('no bytes at all, which trust nobody', async () => {
      const bundles = await jwtBundlesOf({ ...twoSets, 'spiffe://other.org': Buffer.of() });
      expect(bundles.get(own)).toHaveLength(1);
      expect(bundles.get(other)).toEqual([]);
    })
    .refuses('keys that are null', () => jwtBundlesOf({ 'td.test': Buffer.from('{"keys":null}') }), /"keys" is missing/)
    .refuses('a set without keys', () => jwtBundlesOf({ 'td.test': Buffer.from('{}') }), /bundle of td.test.*"keys" is/)
    .refuses('what is no JSON', () => jwtBundlesOf({ 'td.test': Buffer.from('-----BEGIN') }), /bundle of td.test/)
    .refuses('what is no UTF-8', () => jwtBundlesOf({ 'td.test': Buffer.from([0xff, 0xfe]) }), /bundle of td.test/);
});
