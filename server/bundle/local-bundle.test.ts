import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../common/clock.ts';
import { silentLogger } from '../../common/log/logger.ts';
import type { BundleStore } from '../../plugins/datastore/sql/contract.ts';
import { type Bundle, emptyBundle, type JwtAuthority } from '../../spiffe/bundle/bundle.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { memoryDatastore } from '../../test/support/memory-datastore.ts';
import { openLocalBundle } from './local-bundle.ts';

const trustDomain = parseTrustDomain('example.org');
const other = parseTrustDomain('other.org');

const key = (keyId: string): JwtAuthority => ({ keyId, publicKey: Buffer.from(keyId), expiresAt: 0, tainted: false });
const keysOf = (bundle: Bundle): readonly string[] => bundle.jwtAuthorities.map((one) => one.keyId);

async function opened(change: (store: BundleStore) => BundleStore = (store) => store) {
  const clock = new ManualClock();
  const { bundles } = memoryDatastore();
  const errors: string[] = [];
  const log = { ...silentLogger, error: (message: string) => void errors.push(message) };
  const local = await openLocalBundle({ store: change(bundles), trustDomain, clock, log });
  /** As another server would. */
  const elsewhere = (keyId: string) => bundles.append({ trustDomain, jwtAuthorities: [key(keyId)] });
  return { clock, elsewhere, errors, local };
}

describe('the local bundle', () => {
  it('is empty before anything is stored', async () => {
    const { local } = await opened();
    expect(local.bundle.current).toEqual(emptyBundle(trustDomain));
  });

  it('shows own changes at once', async () => {
    const { local } = await opened();
    const seen: Bundle[] = [];
    local.bundle.subscribe((bundle) => seen.push(bundle));
    await local.bundles.append({ trustDomain, jwtAuthorities: [key('1')] });
    expect(keysOf(local.bundle.current)).toEqual(['1']);
    await local.bundles.set({ ...emptyBundle(trustDomain), jwtAuthorities: [key('2')], sequenceNumber: 9n });
    expect(keysOf(await local.get())).toEqual(['2']);
    expect(seen.map(keysOf)).toEqual([['1'], ['2']]);
  });

  it('does not call a change failed because it cannot be read back', async () => {
    let failing = false;
    const { clock, local } = await opened((store) => ({
      ...store,
      get: async (of) => (failing ? Promise.reject(new Error('gone')) : store.get(of)),
    }));
    failing = true;
    await local.bundles.append({ trustDomain, jwtAuthorities: [key('1')] });
    failing = false;
    await clock.advance(1000);
    expect(keysOf(await local.get())).toEqual(['1']);
  });

  it('says nothing when nothing changed, or the bundle of another trust domain did', async () => {
    const { local } = await opened();
    await local.bundles.append({ trustDomain, jwtAuthorities: [key('1')] });
    local.bundle.subscribe(() => expect.fail('changed'));
    await local.bundles.append({ trustDomain, jwtAuthorities: [key('1')] });
    await local.bundles.append({ trustDomain: other, jwtAuthorities: [key('2')] });
    expect(keysOf(local.bundle.current)).toEqual(['1']);
  });

  it('answers from memory for a second, and then looks again', async () => {
    const { clock, elsewhere, local } = await opened();
    await elsewhere('1');
    await clock.advance(999);
    expect(keysOf(await local.get())).toEqual([]);
    await clock.advance(1);
    expect(keysOf(await local.get())).toEqual(['1']);
  });

  it('notices the changes of other servers while it runs', async () => {
    const { clock, elsewhere, local } = await opened();
    const stop = new AbortController();
    const done = local.run(stop.signal);
    await elsewhere('1');
    await clock.advance(1000);
    expect(keysOf(local.bundle.current)).toEqual(['1']);
    stop.abort();
    await done;
  });

  it('keeps the last bundle while the store fails, and says so once', async () => {
    let failing = false;
    const { clock, elsewhere, errors, local } = await opened((store) => ({
      ...store,
      get: async (of) => (failing ? Promise.reject(new Error('gone')) : store.get(of)),
    }));
    await elsewhere('1');
    const stop = new AbortController();
    const done = local.run(stop.signal);
    await clock.advance(1000);
    failing = true;
    await clock.advance(5000);
    expect(keysOf(local.bundle.current)).toEqual(['1']);
    expect(errors).toHaveLength(1);
    failing = false;
    await elsewhere('2');
    await clock.advance(1000);
    expect(keysOf(local.bundle.current)).toEqual(['1', '2']);
    stop.abort();
    await done;
  });

  it('never shows what an older read saw over what a newer one saw', async () => {
    const answers: ((bundle: Bundle) => void)[] = [];
    let slow = false;
    const { clock, local } = await opened((store) => ({
      ...store,
      get: (of) => (slow ? new Promise((resolve) => answers.push(resolve)) : store.get(of)),
    }));
    slow = true;
    await clock.advance(1000);
    const [first, second] = [local.get(), local.get()];
    answers[1]?.({ ...emptyBundle(trustDomain), sequenceNumber: 2n });
    await second;
    answers[0]?.({ ...emptyBundle(trustDomain), sequenceNumber: 1n });
    await first;
    expect(local.bundle.current.sequenceNumber).toBe(2n);
  });
});
