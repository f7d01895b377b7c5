import { describe, expect } from 'vitest';
import { ManualClock } from '../../common/clock.ts';
import { serverStream } from '../../common/rpc/service.ts';
import type { X509SVIDResponse } from '../../proto/gen/workload/X509SVIDResponse.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';
import { issueSvid, type TestCertificate } from '../support/pki.ts';
import { deferred } from '../support/rpc-pair.ts';
import {
  scriptedX509Source as sourceOf,
  currentCa,
  foreignBundles,
  scriptedAgent,
  scriptedStream,
  validity,
  x509Svid,
} from '../support/scripted-agent.ts';
import { row } from './row.ts';

// What our client does with X509-SVIDs, against an agent that says what a test wants, right or wrong.

const ID = 'spiffe://example.org/w';
const ca = currentCa();
const otherCa = currentCa();
const [own, td0, td1] = ['example.org', 'td0.test', 'td1.test'].map((name) => parseTrustDomain(name));
if (own === undefined || td0 === undefined || td1 === undefined) throw new TypeError('three domains');

const good: X509SVIDResponse = { svids: [x509Svid(ca, ID)] };

/** The context that comes of one message of the agent. */
async function contextOf(message: X509SVIDResponse) {
  await using agent = await scriptedAgent({ FetchX509SVID: scriptedStream([message]) });
  return await agent.api.x509.fetch();
}

describe('streams', () => {
  row('WAPI-05').shows('our client calls the paths of the standard', async () => {
    await using agent = await scriptedAgent({
      FetchX509SVID: scriptedStream([good]),
      FetchX509Bundles: scriptedStream([{ bundles: { 'spiffe://example.org': ca.der } }]),
    });
    await agent.api.x509.fetch();
    await agent.api.x509Bundles.fetch();
    expect(agent.calls.map(({ method }) => method)).toEqual([
      '/SpiffeWorkloadAPI/FetchX509SVID',
      '/SpiffeWorkloadAPI/FetchX509Bundles',
    ]);
  });

  row('WAPI-07').shows('a stream that is silent for ten minutes, and for ten days, stays open', async () => {
    const clock = new ManualClock();
    const gate = deferred();
    const script = scriptedStream([good, gate.promise, { ...good, crl: [Buffer.of(1)] }]);
    await using agent = await scriptedAgent({ FetchX509SVID: script }, { clock });
    const updates = agent.api.x509.watch()[Symbol.asyncIterator]();
    await updates.next();
    await clock.advance(600_000);
    await clock.advance(864_000_000);
    gate.resolve();
    expect((await updates.next()).value).toMatchObject({ crl: [Buffer.of(1)] });
    expect(agent.calls).toHaveLength(1);
    await updates.return?.();
  });

  row('WAPI-08')
    .shows('a stream that ended with OK is opened again without waiting', async () => {
      await using agent = await scriptedAgent({ FetchX509SVID: scriptedStream([good, 'OK'], [good]) });
      const updates = agent.api.x509.watch()[Symbol.asyncIterator]();
      await updates.next();
      await updates.next();
      expect(agent.calls).toHaveLength(2);
      expect(agent.clock.waits).toEqual([]);
      await updates.return?.();
    })
    .shows('an agent that does nothing but end its streams is asked ever more rarely', async () => {
      await using agent = await scriptedAgent({
        FetchX509SVID: scriptedStream(['OK'], ['OK'], ['OK'], ['OK'], [good]),
      });
      for await (const _update of agent.api.x509.watch()) break;
      expect(agent.clock.waits.map(Math.round)).toEqual([200, 340, 578, 983]);
    });

  row('WAPI-14').shows('federated bundles that are missing from a message are gone', async () => {
    await using run = await sourceOf([{ ...good, federated_bundles: foreignBundles(2, otherCa) }, good]);
    expect(run.source.x509Bundles.size).toBe(3);
    await run.step();
    expect([...run.source.x509Bundles.keys()]).toEqual([own]);
  });

  row('WAPI-15').shows('neither lists of revocations nor hints outlive the message that lacks them', async () => {
    const full = { svids: [x509Svid(ca, ID, { hint: 'web' })], crl: [Buffer.of(1)] };
    await using run = await sourceOf([full, good]);
    expect(run.source.current).toMatchObject({ crl: [Buffer.of(1)], svids: [{ hint: 'web' }] });
    await run.step();
    expect(run.source.current).toMatchObject({ crl: [], svids: [{ hint: '' }] });
    expect(run.source.svidByHint('web')).toBeUndefined();
  });

  row('WAPI-16').shows('peers of a domain whose bundle was taken away are not trusted any more', async () => {
    await using run = await sourceOf([{ ...good, federated_bundles: foreignBundles(2, otherCa) }, good]);
    const peer = issueSvid(otherCa, 'spiffe://td1.test/peer', validity());
    const verify = () => verifyX509Svid([peer.der], (one) => run.source.x509Bundles.get(one), Date.now());
    expect(verify().id).toBe('spiffe://td1.test/peer');
    await run.step();
    expect(verify).toThrow('no X.509 bundle found for trust domain td1.test');
  });

  const malformed: readonly (readonly [string, X509SVIDResponse])[] = [
    ['svids is empty', { svids: [], federated_bundles: foreignBundles(1, otherCa) }],
    ['spiffe_id is empty', { svids: [x509Svid(ca, ID, { spiffe_id: '' })] }],
    ['x509_svid is empty', { svids: [x509Svid(ca, ID, { x509_svid: Buffer.of() })] }],
    ['x509_svid_key is empty', { svids: [x509Svid(ca, ID, { x509_svid_key: Buffer.of() })] }],
    ['bundle is empty', { svids: [x509Svid(ca, ID, { bundle: Buffer.of() })] }],
  ];
  const wapi18 = row('WAPI-18');
  for (const [message, broken] of malformed) {
    wapi18.refuses(`a first message: ${message}`, () => contextOf(broken), new RegExp(`malformed answer.*${message}`));
    wapi18.shows(`later it is reported and discarded, stream and state stay: ${message}`, async () => {
      const both = { svids: [x509Svid(ca, ID), x509Svid(ca, `${ID}2`)] };
      await using run = await sourceOf([good, broken, both]);
      const { current } = run.source;
      await run.step();
      expect(run.events).toEqual(['data-loss']);
      expect(run.source.current).toBe(current);
      await run.step();
      expect(run.source.svids).toHaveLength(2);
      expect(run.agent.calls).toHaveLength(1);
    });
  }
  wapi18
    .refuses(
      'X.509 bundles: none at all',
      async () => {
        await using agent = await scriptedAgent({ FetchX509Bundles: scriptedStream([{ bundles: {} }]) });
        return await agent.api.x509Bundles.fetch();
      },
      /malformed answer.*bundles is empty/,
    )
    .refuses(
      'JWT bundles: none at all',
      async () => {
        await using agent = await scriptedAgent({ FetchJWTBundles: scriptedStream([{ bundles: {} }]) });
        return await agent.api.jwtBundles.fetch();
      },
      /malformed answer.*bundles is empty/,
    );
});

describe('peers', () => {
  /** A source with the bundles of its own domain and of td0, which have different authorities. */
  const bundles = async () => (await contextOf({ ...good, federated_bundles: { 'td0.test': otherCa.der } })).bundles;
  const judge = async (issuer: TestCertificate, id: string) => {
    const held = await bundles();
    return verifyX509Svid([issueSvid(issuer, id, validity()).der], (one) => held.get(one), Date.now());
  };

  row('WAPI-19')
    .accepts('a peer signed by an authority of its own domain', () => judge(otherCa, 'spiffe://td0.test/peer'))
    .refuses(
      'a peer signed by one of another domain',
      () => judge(ca, 'spiffe://td0.test/peer'),
      /authority|untrusted|trust/,
    );
  row('WAPI-20')
    .accepts('a peer of a domain whose bundle is there', () => judge(ca, 'spiffe://example.org/peer'))
    .refuses('a peer of any other', () => judge(ca, 'spiffe://td1.test/peer'), /no X.509 bundle found for .* td1.test/);
});

describe('calls', () => {
  row('WAPI-11').shows('a fetch takes the first message and leaves the stream', async () => {
    const left = deferred();
    await using agent = await scriptedAgent({
      FetchX509SVID: serverStream(async function* (_request, { signal }) {
        yield good;
        signal.addEventListener('abort', () => left.resolve());
        await left.promise;
      }),
    });
    expect((await agent.api.x509.fetch()).svids).toHaveLength(1);
    await left.promise;
  });
});
