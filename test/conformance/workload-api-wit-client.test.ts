import { describe, expect } from 'vitest';
import { createFakeWorkloadApi, createTestAuthority, type FakeWorkloadApi } from '../../client/testing/index.ts';
import { createWitSource, type WitSource } from '../../client/wit-source.ts';
import { readWitBundles, readWitSvids } from '../../client/wit-svids.ts';
import { ManualClock } from '../../common/clock.ts';
import { FinialError, toFinialError } from '../../common/errors.ts';
import { shapesOf } from '../../common/rpc/descriptor.ts';
import { scriptedAgent, scriptedStream, type WorkloadHandlers } from '../support/scripted-agent.ts';
import type { WITSVID__Output } from '../../proto/gen/workload/WITSVID.ts';
import { witJwksOf } from '../../spiffe/bundle/json.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { row } from './row.ts';

// What our client does in the WIT profile, against an agent that says what a test wants, right or wrong.

/** Follows a stream until three errors have come or it fails for good; says which, and how long the waits were. */
async function followed(handlers: WorkloadHandlers, which: 'witSvids' | 'witBundles') {
  await using agent = await scriptedAgent(handlers, { wit: true });
  const stop = new AbortController();
  const errors: string[] = [];
  const listener = {
    onUpdate: () => expect.fail('nothing was sent'),
    onError({ code }: FinialError) {
      errors.push(code);
      if (errors.length === 4) stop.abort();
    },
  };
  const end = await agent.api[which].follow(listener, { signal: stop.signal }).then(
    () => 'stopped',
    (error: unknown) => toFinialError(error).code,
  );
  return { end, calls: agent.calls.length, errors, waits: agent.clock.waits.map(Math.round) };
}

const failing = (code: 'permission-denied' | 'unimplemented') =>
  scriptedStream<object, object>([new FinialError(code, 'scripted')]);

const clock = new ManualClock(Date.now());
const authority = await createTestAuthority('example.org', { clock });
const wit = await authority.issueWit('spiffe://example.org/w');
const other = await authority.issueWit('spiffe://example.org/other');
const entry = (more: Partial<WITSVID__Output> = {}): WITSVID__Output => ({
  ...{ spiffe_id: wit.id, wit_svid: wit.token, wit_svid_key: wit.key, hint: '' },
  ...more,
});

describe('what an agent sends', () => {
  const { d: _private, ...publicOnly } = JSON.parse(wit.key) as Record<string, string>;
  row('WAPI-72')
    .accepts('the private key of the token', () => readWitSvids({ svids: [entry()] }))
    .refuses(
      'a public key',
      () => readWitSvids({ svids: [entry({ wit_svid_key: JSON.stringify(publicOnly) })] }),
      /no private part/,
    )
    .refuses('what is no JWK', () => readWitSvids({ svids: [entry({ wit_svid_key: 'x' })] }), /not JSON/)
    .refuses('no key at all', () => readWitSvids({ svids: [entry({ wit_svid_key: '' })] }), /wit_svid_key is empty/)
    .refuses(
      'the key of another token',
      () => readWitSvids({ svids: [entry({ wit_svid_key: other.key })] }),
      /not the key of the token/,
    );

  row('WAPI-74').shows('the first of two with one hint counts, and all without one', () => {
    const twice = { spiffe_id: other.id, wit_svid: other.token, wit_svid_key: other.key };
    const read = (hint: string) =>
      readWitSvids({ svids: [entry({ hint }), entry({ ...twice, hint })] }).map(({ id }) => id);
    expect(read('a')).toEqual([wit.id]);
    expect(read('')).toEqual([wit.id, other.id]);
  });

  /** A source over a fake agent that changes something; `look` sees it before and after. */
  const changing = async <T>(change: (fake: FakeWorkloadApi) => void, look: (source: WitSource) => T): Promise<T[]> => {
    await using fake = await createFakeWorkloadApi({ wit: true });
    await fake.issue('spiffe://example.org/w');
    await fake.federate('b.test');
    using source = await createWitSource({ address: fake.address });
    const before = look(source);
    // Of two streams either may tell first.
    const changed = new Promise<T>((resolve) => {
      source.onUpdate(() => {
        const now = look(source);
        if (JSON.stringify(now) !== JSON.stringify(before)) resolve(now);
      });
    });
    change(fake);
    return [before, await changed];
  };

  row('WAPI-76').shows('nothing is left of what the agent took back', async () => {
    const idOf = (source: WitSource): string => {
      try {
        return source.svid.id;
      } catch (error) {
        return toFinialError(error).code;
      }
    };
    expect(await changing((fake) => fake.revoke(), idOf)).toEqual(['spiffe://example.org/w', 'permission-denied']);
  });

  row('WAPI-82').shows('the bundle of a domain that is no longer sent is gone', async () => {
    const domains = (source: WitSource): string[] => Array.from(source.witBundles.keys()).sort();
    const seen = await changing((fake) => fake.unfederate('b.test'), domains);
    expect(seen).toEqual([['b.test', 'example.org'], ['example.org']]);
  });

  row('WAPI-77').shows('its keys verify no JWT-SVID, as only keys for WIT-SVIDs are taken from it', () => {
    const { keys } = JSON.parse(witJwksOf(authority.bundle)) as { keys: object[] };
    const jwks = (use?: string): string =>
      JSON.stringify({ keys: keys.map((jwk) => ({ ...jwk, ...(use === undefined ? {} : { use }) })) });
    const count = (text: string): number | undefined =>
      readWitBundles({ bundles: { 'spiffe://example.org': text } }).get(parseTrustDomain('example.org'))?.length;
    expect([count(jwks('wit-svid')), count(jwks()), count(jwks('jwt-svid'))]).toEqual([1, 1, 0]);
  });
});

describe('streams', () => {
  const once = { end: 'unimplemented', calls: 1, errors: ['unimplemented'], waits: [] };
  row('WAPI-68')
    .shows('an agent without WIT-SVIDs is not asked again', async () => {
      expect(await followed({ FetchWITSVID: failing('unimplemented') }, 'witSvids')).toEqual(once);
    })
    .shows('nor for their bundles', async () => {
      expect(await followed({ FetchWITBundles: failing('unimplemented') }, 'witBundles')).toEqual(once);
    });

  const slowly = { end: 'stopped', calls: 4, errors: Array(4).fill('permission-denied'), waits: [200, 340, 578] };
  row('WAPI-75').shows('a denied client asks again, ever more rarely', async () => {
    expect(await followed({ FetchWITSVID: failing('permission-denied') }, 'witSvids')).toEqual(slowly);
  });
  row('WAPI-81').shows('a denied client asks again, ever more rarely', async () => {
    expect(await followed({ FetchWITBundles: failing('permission-denied') }, 'witBundles')).toEqual(slowly);
  });

  row('WAPI-79').shows('bundles are text on the wire, where those of JWT-SVIDs are bytes', () => {
    const { messages } = shapesOf('workload.proto');
    const valueOf = (name: string) =>
      messages.get(name)?.fields.map(({ message }) => message?.fields.map(({ type }) => type));
    expect(valueOf('WITBundlesResponse')).toEqual([['TYPE_STRING', 'TYPE_STRING']]);
    expect(valueOf('JWTBundlesResponse')).toEqual([['TYPE_STRING', 'TYPE_BYTES']]);
  });
});
