import { readFileSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { createTestAuthority } from '../../client/testing/authority.ts';
import { createFakeWorkloadApi } from '../../client/testing/fake-workload-api.ts';
import { createTestSource, type TestSource } from '../../client/testing/source.ts';
import { createX509Source } from '../../client/x509-source.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import { federatedDomain, watching } from '../support/bundle-endpoint.ts';
import { next, openX509, ownTrustDomain, testEntry, workloadApiFixture } from '../support/workload-api.ts';
import { row } from './row.ts';

const authority = await createTestAuthority('b.test');
const b = await createTestSource(authority, 'spiffe://b.test/x');
const a = await createTestSource(await createTestAuthority('a.test'), 'spiffe://a.test/x');
a.federate(authority);

describe('Federation 4.2, 6: workloads and relations', () => {
  const foreign = parseTrustDomain('other.org');
  const federated = { ...authority.bundle, trustDomain: foreign };
  row('FED-18').shows('the name of the trust domain beside its bundle, by the agent and by the client', async () => {
    const agent = await workloadApiFixture();
    agent.setEntries([testEntry('a', ['u:1'], { federatesWith: [foreign] })], agent.authority.bundle, [federated]);
    agent.sign();
    const { federated_bundles } = await next(openX509(agent.channel));
    expect(Object.keys(federated_bundles)).toEqual(['spiffe://other.org']);
    await agent.close();
    await using domain = await federatedDomain();
    using w = await watching(domain.spiffe);
    expect([...w.watch.x509Bundles.keys(), ...w.watch.jwtBundles.keys()]).toEqual(['b.test', 'b.test']);
  });

  row('FED-46').shows('a bundle that is gone from the next message, and then from the client', async () => {
    const agent = await workloadApiFixture();
    const entry = testEntry('a', ['u:1'], { federatesWith: [foreign] });
    agent.setEntries([entry], agent.authority.bundle, [federated]);
    agent.sign();
    const stream = openX509(agent.channel);
    expect(Object.keys((await next(stream)).federated_bundles)).toEqual(['spiffe://other.org']);
    agent.setEntries([entry], agent.authority.bundle, []);
    expect((await next(stream)).federated_bundles).toEqual({});
    await stream.return?.();
    await agent.close();

    await using fake = await createFakeWorkloadApi({ trustDomain: ownTrustDomain });
    await fake.issue(`spiffe://${ownTrustDomain}/x`);
    await fake.federate(authority);
    using client = await createX509Source({ address: fake.address });
    expect(client.x509Bundles.has(authority.trustDomain)).toBe(true);
    const updated = new Promise<void>((resolve) => client.onUpdate(resolve));
    fake.unfederate('b.test');
    await updated;
    expect(client.x509Bundles.has(authority.trustDomain)).toBe(false);
  });

  const verifiedBy = (by: TestSource, peer: TestSource) =>
    verifyX509Svid(peer.svid.chain, (of) => by.x509Bundles.get(of), Date.now());
  row('FED-47')
    .accepts('B by A, who has the bundle of B', () => verifiedBy(a, b))
    .refuses('A by B, who has no bundle of A', () => verifiedBy(b, a), /no X\.509 bundle found for .* a\.test/);

  row('FED-49').shows('in the documents that the parameters are to be guarded', () => {
    const text = readFileSync(new URL('../../docs/trust-domains.md', import.meta.url), 'utf8');
    expect(text).toMatch(/Guard the parameters\.\*\* The URL, the profile, the name and the first bundle/);
  });
});
