import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ManualClock } from '../../common/clock.ts';
import { type ErrorCode, FinialError } from '../../common/errors.ts';
import { keysInProcess } from '../../common/keys-in-process.ts';
import type { LogFields } from '../../common/log/logger.ts';
import { silentLogger } from '../../common/log/logger.ts';
import type { Key, KeyManager } from '../../plugins/key-manager/contract.ts';
import { emptyBundle } from '../../spiffe/bundle/bundle.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCsr } from '../../spiffe/x509/csr.ts';
import { formatName } from '../../spiffe/x509/name.ts';
import { issueCa, issueSvid, newTestKey, TEST_HOUR, TEST_NOW } from '../../test/support/pki.ts';
import { type AgentData, type AgentStore, EMPTY_AGENT_DATA } from '../storage/agent-data.ts';
import { attestAgent, type AttestationDependencies, rotateIdentity } from './attest.ts';
import type { BootstrapRoots } from './bootstrap.ts';

const trustDomain = parseTrustDomain('example.org');
const ca = issueCa();
const never = new AbortController().signal;
const AGENT = 'spiffe://example.org/spire/agent/x/1';

const svidFor = (publicKey: Buffer, notAfter = TEST_NOW + TEST_HOUR): Buffer =>
  issueSvid(ca, AGENT, { key: { ...newTestKey(), spki: publicKey }, notAfter }).der;

interface Bench {
  readonly deps: AttestationDependencies;
  readonly clock: ManualClock;
  readonly keys: KeyManager;
  readonly store: AgentStore;
  readonly warnings: { readonly message: string; readonly fields: LogFields }[];
  readonly subjects: string[];
  readonly roots: BootstrapRoots[];
  /** The next attempts to connect fail with these. */
  readonly failures: FinialError[];
}

/** Without a disk, so that a loop comes to rest between two steps of the clock. */
function memoryStore(): AgentStore {
  let data: AgentData = EMPTY_AGENT_DATA;
  return {
    file: 'agent-data.json',
    get data() {
      return data;
    },
    async update(change) {
      data = change(data);
    },
    keepCopy: async () => 'agent-data.json.bak',
  };
}

function bench(): Bench {
  const clock = new ManualClock(TEST_NOW);
  const keys = keysInProcess();
  const storage = memoryStore();
  const seen: Pick<Bench, 'warnings' | 'subjects' | 'roots' | 'failures'> = {
    warnings: [],
    subjects: [],
    roots: [],
    failures: [],
  };
  const deps: AttestationDependencies = {
    ...{ clock, trustDomain, storage, keyManager: keys, random: () => 0.5 },
    nodeAttestor: { type: 'x', begin: () => Promise.reject(new Error('not called by these tests')) },
    bootstrapRoots: async () => [ca.der],
    async connect(roots) {
      seen.roots.push(roots);
      const failure = seen.failures.shift();
      if (failure !== undefined) throw failure;
      return {
        async attest(_attestor, csr) {
          const request = parseCsr(csr);
          seen.subjects.push(formatName(request.subject));
          return { chain: [svidFor(request.publicKey)], reattestable: true };
        },
        bundle: async () => ({
          ...emptyBundle(trustDomain),
          x509Authorities: [{ certificate: ca.der, tainted: false }],
        }),
        close: () => undefined,
      };
    },
    log: { ...silentLogger, warn: (message, fields = {}) => void seen.warnings.push({ message, fields }) },
  };
  return { deps, clock, keys, store: storage, ...seen };
}

let on: Bench;
beforeEach(() => {
  on = bench();
});

const failing = (code: ErrorCode, times: number): void => {
  for (let i = 0; i < times; i += 1) on.failures.push(new FinialError(code, `failure ${i + 1}`));
};
const keyIn = (slot: string): Promise<Key> => on.keys.generateKey(slot, 'ec-p256');

describe('attestAgent', () => {
  it('attests a new agent with a key in the first slot and keeps what it got', async () => {
    const { identity, bundle } = await attestAgent(on.deps, never);
    expect(identity).toMatchObject({ id: AGENT, key: { id: 'agent-svid-A' }, reattestable: true });
    expect(bundle.x509Authorities.map(({ certificate }) => certificate)).toEqual([ca.der]);
    expect(on.subjects).toEqual(['O=SPIRE,C=US']);
    expect(on.store.data).toEqual({
      svid: identity.chain,
      bundle: [ca.der],
      reattestable: true,
      bootstrapUse: 'rebootstrap',
      connectionAttempts: 0,
    });
    expect(on.warnings).toEqual([]);
  });

  it('takes up a stored SVID whose key is there, in whatever slot', async () => {
    const key = await keyIn('other-name');
    const svid = [svidFor(key.publicKey)];
    await on.store.update((data) => ({ ...data, svid, bundle: [ca.der], reattestable: true }));
    const { identity } = await attestAgent(on.deps, never);
    expect(identity).toMatchObject({ chain: svid, key: { id: 'other-name' }, reattestable: true });
    expect(on.roots).toEqual([]);
  });

  it.each([
    ['an SVID that ends within a second', 1000, true],
    ['an SVID without its key', TEST_HOUR, false],
  ])('attests anew with a warning when it finds %s', async (_what, left, held) => {
    const key = await keyIn('agent-svid-A');
    const svid = [svidFor(held ? key.publicKey : newTestKey().spki, TEST_NOW + left)];
    await on.store.update((data) => ({ ...data, svid, bundle: [ca.der] }));
    const { identity } = await attestAgent(on.deps, never);
    expect(identity.key.id).toBe(held ? 'agent-svid-B' : 'agent-svid-A');
    expect(on.warnings).toHaveLength(1);
    expect(on.subjects).toHaveLength(1);
  });

  it('attests anew with a warning when it finds keys alone', async () => {
    await keyIn('agent-svid-A');
    await attestAgent(on.deps, never);
    expect(on.warnings).toHaveLength(1);
  });

  it('fetches the bundle for an SVID that was stored without one, and does not attest again', async () => {
    const key = await keyIn('agent-svid-A');
    await on.store.update((data) => ({ ...data, svid: [svidFor(key.publicKey)] }));
    const { identity, bundle } = await attestAgent(on.deps, never);
    expect(identity.key.id).toBe('agent-svid-A');
    expect(bundle.x509Authorities).toHaveLength(1);
    expect(on.subjects).toEqual([]);
    expect(on.store.data.bundle).toEqual([ca.der]);
  });

  it('keeps the SVID that a used join token bought, even when the bundle cannot be had', async () => {
    let failures = 1;
    const deps: AttestationDependencies = {
      ...on.deps,
      connect: async (roots, signal) => ({
        ...(await on.deps.connect(roots, signal)),
        bundle: async () => {
          failures -= 1;
          if (failures >= 0) throw new FinialError('unavailable', 'gone');
          return { ...emptyBundle(trustDomain), x509Authorities: [{ certificate: ca.der, tainted: false }] };
        },
      }),
    };
    const attesting = attestAgent(deps, never);
    // The key is made on a thread, which the clock does not wait for.
    await vi.waitFor(() => expect(on.clock.sleeping).toBe(1));
    await on.clock.advance(5000);
    expect((await attesting).identity.id).toBe(AGENT);
    expect(on.subjects).toHaveLength(1);
  });
});

describe('retries of attestAgent', () => {
  it('wait longer each time, counting attempts on disk', async () => {
    failing('unavailable', 2);
    const attesting = attestAgent(on.deps, never);
    await on.clock.advance(4999);
    expect(on.store.data).toMatchObject({ bootstrapUse: 'bootstrap', connectionAttempts: 1 });
    expect(on.roots).toHaveLength(1);
    await on.clock.advance(1);
    expect(on.roots).toHaveLength(2);
    await on.clock.advance(7500);
    expect((await attesting).identity.id).toBe(AGENT);
    expect(on.warnings).toEqual([
      { message: 'Failed to retrieve attestation result', fields: { error: 'failure 1', retry_interval: '5.000s' } },
      { message: 'Failed to retrieve attestation result', fields: { error: 'failure 2', retry_interval: '7.500s' } },
    ]);
  });

  it('end within a minute with the last failure', async () => {
    failing('unavailable', 100);
    const attesting = attestAgent(on.deps, never).catch((error: unknown) => error);
    await on.clock.advance(60_000);
    // After 5, 12.5, 23.75 and 40.6 s; the next wait would pass the minute.
    expect(await attesting).toMatchObject({ message: 'failure 5' });
    expect(on.clock.sleeping).toBe(0);
  });

  it('do not follow a refusal', async () => {
    failing('permission-denied', 1);
    await expect(attestAgent(on.deps, never)).rejects.toMatchObject({ code: 'permission-denied' });
    expect(on.roots).toHaveLength(1);
  });

  it('end at once when told to stop', async () => {
    failing('unavailable', 1);
    const stop = new AbortController();
    const attesting = attestAgent(on.deps, stop.signal).catch((error: unknown) => error);
    await on.clock.advance(1000);
    stop.abort(new Error('stop'));
    expect(await attesting).toMatchObject({ message: 'stop' });
  });
});

describe('rotateIdentity', () => {
  const client = {
    renewAgent: async (csr: Buffer) => ({ chain: [svidFor(parseCsr(csr).publicKey)], reattestable: false }),
  };

  it('attests again under the current bundle where the node can', async () => {
    const { identity } = await attestAgent(on.deps, never);
    const next = await rotateIdentity({ ...on.deps, client }, identity, never);
    expect(next).toMatchObject({ key: { id: 'agent-svid-B' }, reattestable: true });
    expect(on.store.data.svid).toEqual(next.chain);
  });

  it('renews otherwise, and the old key stays', async () => {
    const { identity } = await attestAgent(on.deps, never);
    const next = await rotateIdentity({ ...on.deps, client }, { ...identity, reattestable: false }, never);
    expect(next).toMatchObject({ key: { id: 'agent-svid-B' }, reattestable: false });
    expect(on.store.data).toMatchObject({ svid: next.chain, reattestable: false, bundle: [ca.der] });
    expect((await on.keys.getKey('agent-svid-A'))?.publicKey).toEqual(identity.key.publicKey);
  });

  it('refuses an SVID for another key and keeps what is stored', async () => {
    const { identity } = await attestAgent(on.deps, never);
    const wrong = { renewAgent: async () => ({ chain: [svidFor(newTestKey().spki)], reattestable: false }) };
    const rotating = rotateIdentity({ ...on.deps, client: wrong }, { ...identity, reattestable: false }, never);
    await expect(rotating).rejects.toMatchObject({ code: 'internal' });
    expect(on.store.data.svid).toEqual(identity.chain);
  });
});
