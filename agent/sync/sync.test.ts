import { describe, expect, it } from 'vitest';
import { type Clock, ManualClock } from '../../common/clock.ts';
import { FinialError } from '../../common/errors.ts';
import { silentLogger } from '../../common/log/logger.ts';
import { subject } from '../../common/observable.ts';
import { orAbort } from '../../common/rpc/stream.ts';
import { type Bundle, emptyBundle } from '../../spiffe/bundle/bundle.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCsr } from '../../spiffe/x509/csr.ts';
import { generateSigner } from '../../spiffe/x509/key.ts';
import { selfSigned, selfSignedCaTemplate, signCertificate, x509SvidTemplate } from '../../spiffe/x509/profile.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import type { CacheFeed, HeldX509Svid } from '../cache/contract.ts';
import type { AgentEntry, AgentIdentity, ServerClient } from '../server-client/contract.ts';
import type { SyncDependencies } from './contract.ts';
import { synchronisation } from './sync.ts';
import { recordingLogger } from '../../test/support/server-api.ts';

const trustDomain = parseTrustDomain('example.org');
const HOUR_MS = 3_600_000;

function entry(id: string, revisionNumber = 0): AgentEntry {
  return {
    id,
    spiffeId: parseSpiffeId(`spiffe://example.org/${id}`),
    selectors: [{ type: 'unix', value: 'uid:1' }],
    federatesWith: [],
    admin: false,
    downstream: false,
    revisionNumber,
    storeSvid: false,
    hint: '',
    createdAt: 1,
  };
}

/** A server that signs for the entries it has, with an authority of its own. */
async function world(entries: readonly AgentEntry[]) {
  const clock = new ManualClock();
  const signer = await generateSigner('ec-p256');
  let serialNumber = 1n;
  const fields = () => ({ serialNumber: (serialNumber += 1n), now: clock.now() });
  const template = selfSignedCaTemplate({
    ...fields(),
    ttlMs: 240 * HOUR_MS,
    publicKey: signer.publicKey,
    trustDomain,
    subject: {},
  });
  const issuer = selfSigned(template, signer);
  const root = parseCertificate(await signCertificate(template, issuer));
  const state = {
    ...{ entries, batches: [] as number[], syncs: 0, renewals: 0, reconnects: 0 },
    refuse: undefined as unknown,
    refuseRenewal: undefined as unknown,
    refuseSigning: undefined as unknown,
    unsignable: new Set<string>(),
  };
  const bundle: Bundle = {
    ...emptyBundle(trustDomain),
    x509Authorities: [{ certificate: root.der, tainted: false }],
    sequenceNumber: 1n,
  };

  const svidOf = async (id: string, publicKey: Buffer): Promise<Buffer> =>
    signCertificate(
      x509SvidTemplate({
        ...fields(),
        ttlMs: HOUR_MS,
        publicKey,
        id: parseSpiffeId(id),
        issuer: { notAfter: root.notAfter },
      }),
      issuer,
    );
  const identityNow = async (): Promise<AgentIdentity> => {
    const { privateKey, ...rest } = await generateSigner('ec-p256');
    const key = { ...rest, id: 'agent-svid-A' };
    const id = parseSpiffeId('spiffe://example.org/spire/agent/x');
    const leaf = parseCertificate(await svidOf(id, key.publicKey));
    return {
      id,
      chain: [leaf.der],
      key,
      privateKey,
      notBefore: leaf.notBefore,
      notAfter: leaf.notAfter,
      reattestable: false,
    };
  };
  const hints = scriptedHints();
  const client: ServerClient = {
    async syncEntries() {
      state.syncs += 1;
      if (state.refuse !== undefined) throw state.refuse;
      return new Map(state.entries.map((one) => [one.id, one]));
    },
    bundle: async () => bundle,
    federatedBundle: async () => undefined,
    async signX509Svids(requests) {
      state.batches.push(requests.length);
      if (state.refuseSigning !== undefined) throw state.refuseSigning;
      const signed = await Promise.all(
        requests
          .filter(({ entryId }) => !state.unsignable.has(entryId))
          .map(async ({ entryId, csr }) => {
            const id = `spiffe://example.org/${entryId}`;
            return [entryId, { chain: [await svidOf(id, parseCsr(csr).publicKey)] }] as const;
          }),
      );
      return new Map(signed);
    },
    signJwtSvid: () => Promise.reject(new Error('not asked for here')),
    renewAgent: () => Promise.reject(new Error('not asked for here')),
    postStatus: async () => undefined,
    hints: (signal) => hints.open(signal),
    reconnect: () => void (state.reconnects += 1),
    close: () => undefined,
  };

  const svids = new Map<string, HeldX509Svid>();
  let held: ReadonlyMap<string, AgentEntry> = new Map();
  const demands = new Set<() => void>();
  const feed: CacheFeed = {
    get entries() {
      return held;
    },
    setEntries: (next) => void (held = next),
    stale: (due) =>
      [...held.values()].filter((one) => {
        const svid = svids.get(one.id);
        return svid === undefined || svid.revisionNumber !== one.revisionNumber || due(svid, one);
      }),
    setSvids(next) {
      for (const [id, svid] of next) svids.set(id, svid);
    },
    onDemand(listener) {
      demands.add(listener);
      return () => void demands.delete(listener);
    },
    get svidCount() {
      return svids.size;
    },
  };
  const identity = subject(await identityNow());
  const deps: SyncDependencies = {
    ...{ client, feed, clock, identity },
    bundle: subject(emptyBundle(trustDomain)),
    random: () => 0.5,
    log: silentLogger,
    saveBundle: async () => undefined,
    dropJwtSvids: () => undefined,
    renewIdentity: async () => {
      state.renewals += 1;
      if (state.refuseRenewal !== undefined) throw state.refuseRenewal;
      return identityNow();
    },
    rejected: (kind) => Promise.reject(new Error(`rejected: ${kind}`)),
    config: { syncInterval: 5000, workloadKeyType: 'ec-p256', availabilityTarget: 0 },
  };
  return { clock, hints, state, svids, deps, identity, demand: () => demands.forEach((one) => one()) };
}

/** Streams of hints under the hand of a test; refused until it says otherwise. */
function scriptedHints() {
  let refusal: FinialError | undefined = new FinialError('unimplemented', 'unknown service');
  let opened = 0;
  let give: ((result: IteratorResult<undefined, undefined>) => void) | undefined;
  return {
    get opened() {
      return opened;
    },
    refuse: (error: FinialError | undefined) => void (refusal = error),
    /** Gives a hint on the open stream. */
    hint: () => give?.({ done: false, value: undefined }),
    end: () => give?.({ done: true, value: undefined }),
    open(signal: AbortSignal): AsyncIterable<undefined> {
      opened += 1;
      const next = (): Promise<IteratorResult<undefined, undefined>> => {
        if (refusal !== undefined) return Promise.reject(refusal);
        const given = new Promise<IteratorResult<undefined, undefined>>((resolve) => {
          give = resolve;
        });
        return orAbort(given, signal);
      };
      return { [Symbol.asyncIterator]: () => ({ next }) };
    },
  };
}

const signal = new AbortController().signal;

/** Signing happens on threads, which a manual clock does not wait for. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !holds(); i += 1) await new Promise((resolve) => setTimeout(resolve, 2));
  expect(holds()).toBe(true);
}

describe('synchronisation', () => {
  it('logs what it has signed, for whoever asks why a workload has no identity', async () => {
    const { deps } = await world([entry('a')]);
    const lines: unknown[] = [];
    const log = {
      ...silentLogger,
      debug: (message: string, fields?: object) => void lines.push({ message, ...fields }),
    };
    await synchronisation({ ...deps, log }).once(signal);
    expect(lines).toMatchObject([{ message: 'SVID updated', entry: 'a', spiffe_id: 'spiffe://example.org/a' }]);
  });

  it('has every entry signed, each with a key of its own', async () => {
    const { deps, svids } = await world([entry('a'), entry('b')]);
    await synchronisation(deps).once(signal);
    expect([...svids.keys()].sort()).toEqual(['a', 'b']);
    const keys = [...svids.values()].map(({ chain }) =>
      parseCertificate(chain[0] ?? Buffer.alloc(0)).publicKey.toString('hex'),
    );
    expect(new Set(keys).size).toBe(2);
    expect(deps.bundle.current.sequenceNumber).toBe(1n);
  });

  it('signs anew what was revised, and nothing else', async () => {
    const { deps, state, svids } = await world([entry('a'), entry('b')]);
    const sync = synchronisation(deps);
    await sync.once(signal);
    const before = new Map(svids);
    state.entries = [entry('a', 1), entry('b')];
    await sync.once(signal);
    expect(svids.get('a')).not.toBe(before.get('a'));
    expect(svids.get('b')).toBe(before.get('b'));
    await sync.once(signal);
    expect(state.batches).toEqual([2, 1]);
  });

  it('renews SVIDs and the own identity at their half-life, in virtual time', async () => {
    const { clock, deps, state, svids } = await world([entry('a')]);
    const sync = synchronisation(deps);
    await sync.once(signal);
    const stop = new AbortController();
    const running = sync.run(stop.signal);
    const first = svids.get('a');
    const connections = state.reconnects;
    await clock.advance(20 * 60_000);
    expect(svids.get('a')).toBe(first);
    expect(state.renewals).toBe(0);
    await clock.advance(12 * 60_000);
    await until(() => svids.get('a') !== first && state.renewals === 1);
    expect(state.reconnects).toBe(connections + 1);
    stop.abort();
    await running;
  });

  it('renews SVIDs from the future once when the clock was set back', async () => {
    const { clock, deps, state, svids } = await world([entry('a')]);
    const sync = synchronisation(deps);
    await sync.once(signal);
    clock.jump(clock.now() - 40 * 60_000);
    for (let i = 0; i < 3; i += 1) await sync.once(signal);
    expect(svids.get('a')?.notBefore).toBeLessThanOrEqual(clock.now());
    expect(state.batches).toEqual([1, 1]);
  });

  it('leaves alone SVIDs that are valid at the time that the clock was set back to', async () => {
    const { clock, deps, state } = await world([entry('a')]);
    const sync = synchronisation(deps);
    await sync.once(signal);
    clock.jump(clock.now() + 20 * 60_000);
    await sync.once(signal);
    clock.jump(clock.now() - 15 * 60_000);
    await sync.once(signal);
    expect(state.batches).toEqual([1]);
  });

  it('does not renew SVIDs at each round when the clock of the server is ahead', async () => {
    const { clock, deps, state } = await world([entry('a')]);
    const behind: Clock = {
      now: () => clock.now() - 300_000,
      steady: () => clock.steady(),
      sleep: (ms, stop) => clock.sleep(ms, stop),
    };
    const sync = synchronisation({ ...deps, clock: behind });
    for (let i = 0; i < 3; i += 1) await sync.once(signal);
    expect(state.batches).toEqual([1]);
  });

  it('splits large sets, and halves the batch after a failure', async () => {
    const many = Array.from({ length: 620 }, (_, index) => entry(`e${index}`));
    const { deps, state } = await world(many);
    const sync = synchronisation(deps);
    state.refuse = undefined;
    await sync.once(signal);
    expect(state.batches).toEqual([500, 120]);
    state.entries = many.map((one) => ({ ...one, revisionNumber: 1 }));
    state.refuseSigning = new FinialError('unavailable', 'too much');
    await expect(sync.once(signal)).rejects.toThrow('too much');
    state.refuseSigning = undefined;
    await sync.once(signal);
    expect(state.batches.slice(2, 4)).toEqual([500, 250]);
  });

  it('hands out RSA keys in small batches, and leaves a thread of the pool to others while it makes them', async () => {
    const { deps, state } = await world(Array.from({ length: 11 }, (_, index) => entry(`e${index}`)));
    const sync = synchronisation({ ...deps, config: { ...deps.config, workloadKeyType: 'rsa-2048' } });
    const syncing = sync.once(signal);
    // As many as a pool of two threads can do before somebody else gets his turn, were all the keys asked for at once.
    await generateSigner('ec-p256');
    await generateSigner('ec-p256');
    expect(state.batches).toEqual([]);
    await syncing;
    expect(state.batches).toEqual([10, 1]);
  });

  it('does not ask for ever for an entry that the server does not sign', async () => {
    const { deps, state, svids } = await world([entry('a'), entry('b')]);
    state.unsignable.add('b');
    await synchronisation(deps).once(signal);
    expect([...svids.keys()]).toEqual(['a']);
    expect(state.batches).toEqual([2]);
  });

  it('signs at once when a workload asks, without waiting for the next round', async () => {
    const { clock, deps, demand, state, svids } = await world([entry('a')]);
    state.unsignable.add('a');
    const sync = synchronisation(deps);
    await sync.once(signal);
    const stop = new AbortController();
    const running = sync.run(stop.signal);
    await clock.advance(0);
    state.unsignable.clear();
    demand();
    await until(() => svids.has('a'));
    expect(clock.steady()).toBe(0);
    stop.abort();
    await running;
  });

  it('goes on after errors that may pass, and ends on those that do not', async () => {
    const { clock, deps, state } = await world([entry('a')]);
    const sync = synchronisation(deps);
    state.refuse = new FinialError('unavailable', 'connection refused');
    const running = sync.run(new AbortController().signal);
    await clock.advance(60_000);
    expect(sync.lastSuccess).toBe(0);
    state.refuse = new FinialError('permission-denied', 'banned', { denial: 'agent-banned' });
    const ended = running.catch((error: unknown) => error);
    await clock.advance(120_000);
    expect(await ended).toMatchObject({ message: 'rejected: banned' });
  });

  it('says so when the clock is behind its own SVID, since the errors that come of it do not', async () => {
    const { clock, deps, state } = await world([entry('a')]);
    const { lines, log } = recordingLogger();
    const stop = new AbortController();
    const running = synchronisation({ ...deps, log }).run(stop.signal);
    state.refuse = new FinialError('unavailable', 'read ECONNRESET');
    await clock.advance(10_000);
    expect(lines.at(-1)).toMatchObject({ message: 'Synchronize failed' });
    expect(lines.at(-1)?.fields).not.toHaveProperty('clock');
    clock.jump(Date.UTC(2025, 11, 31));
    await clock.advance(30_000);
    expect(lines.at(-1)).toMatchObject({
      message: 'Synchronize failed',
      fields: { clock: "behind, or ahead before: this agent's own SVID is valid from 2025-12-31T23:59:50.000Z" },
    });
    stop.abort();
    await running;
  });

  it('learns of new entries at the usual pace while its own SVID cannot be renewed', async () => {
    const { clock, deps, state } = await world([]);
    const errors: string[] = [];
    const sync = synchronisation({ ...deps, log: { ...silentLogger, error: (message) => void errors.push(message) } });
    state.refuseRenewal = new FinialError('unavailable', 'try later');
    const stop = new AbortController();
    const running = sync.run(stop.signal);
    await clock.advance(35 * 60_000);
    const renewals = state.renewals;
    expect(renewals).toBeGreaterThan(0);
    state.syncs = 0;
    await clock.advance(10 * 60_000);
    expect(state.syncs).toBeGreaterThan(100);
    expect(state.renewals - renewals).toBeLessThan(10);
    expect([...new Set(errors)]).toEqual(['Could not rotate agent SVID']);
    stop.abort();
    await running;
  });

  it('ends when its own SVID has expired and cannot be renewed, as the server takes nothing from it any more', async () => {
    const { clock, deps, state } = await world([]);
    state.refuseRenewal = new FinialError('unavailable', 'no route');
    const running = synchronisation(deps).run(signal);
    const ended = running.catch((error: unknown) => error);
    await clock.advance(HOUR_MS + 150_000);
    expect(await ended).toMatchObject({
      message: 'current SVID has already expired and rotate agent SVID failed: no route',
    });
  });

  it('asks every 5 seconds for its first workload, whatever the interval', async () => {
    const { clock, deps, state } = await world([]);
    const stop = new AbortController();
    const config = { ...deps.config, syncInterval: 300_000 };
    const running = synchronisation({ ...deps, config }).run(stop.signal);
    await clock.advance(5 * 60_000);
    state.syncs = 0;
    await clock.advance(60_000);
    expect(state.syncs).toBeGreaterThanOrEqual(11);
    stop.abort();
    await running;
  });
});

describe('hints of the server', () => {
  async function running() {
    const parts = await world([entry('a')]);
    parts.hints.refuse(undefined);
    const sync = synchronisation(parts.deps);
    await sync.once(signal);
    const stop = new AbortController();
    const done = sync.run(stop.signal);
    const end = async (): Promise<void> => {
      stop.abort();
      await done;
    };
    await parts.clock.advance(0);
    return { ...parts, end };
  }

  it('are followed at once, where the next look would be seconds away', async () => {
    const { clock, end, hints, state, svids } = await running();
    state.entries = [entry('a'), entry('b')];
    hints.hint();
    await clock.advance(0);
    expect(state.syncs).toBe(2);
    await until(() => svids.has('b'));
    await end();
  });

  it('that come in a burst are followed by few synchronisations, the last of them after the last hint', async () => {
    const { clock, end, hints, state } = await running();
    for (let n = 0; n < 100; n += 1) {
      hints.hint();
      await clock.advance(10);
    }
    await clock.advance(250);
    expect(state.syncs).toBeGreaterThan(3);
    expect(state.syncs).toBeLessThanOrEqual(1 + 6);
    const before = state.syncs;
    await clock.advance(1000);
    expect(state.syncs).toBe(before);
    await end();
  });

  it('do not hurry an agent whose server fails', async () => {
    const { clock, end, hints, state } = await running();
    state.refuse = new FinialError('unavailable', 'down');
    hints.hint();
    await clock.advance(300);
    expect(state.syncs).toBe(2);
    hints.hint();
    await clock.advance(1000);
    expect(state.syncs).toBe(2);
    await end();
  });

  it('are asked for again soon when the stream ended, later when it failed, rarely when the server knows none', async () => {
    const { clock, end, hints, state } = await running();
    expect(hints.opened).toBe(1);
    hints.end();
    await clock.advance(600);
    expect(hints.opened).toBe(2);
    hints.refuse(new FinialError('unavailable', 'down'));
    hints.end();
    await clock.advance(600);
    expect(hints.opened).toBe(3);
    await clock.advance(800);
    expect(hints.opened).toBe(3);
    await clock.advance(300);
    expect(hints.opened).toBe(4);
    hints.refuse(new FinialError('unimplemented', 'unknown service'));
    await clock.advance(1600);
    expect(hints.opened).toBe(5);
    await clock.advance(9 * 60_000);
    expect(hints.opened).toBe(5);
    // Without hints it looks by itself, as it always did.
    expect(state.syncs).toBeGreaterThan(100);
    await clock.advance(2 * 60_000);
    expect(hints.opened).toBe(6);
    await end();
  });
});
