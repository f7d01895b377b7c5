import { backoffDelay, exponential } from '../../common/backoff.ts';
import type { Clock } from '../../common/clock.ts';
import { FinialError, hasCode, messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { Key, KeyManager } from '../../plugins/key-manager/contract.ts';
import type { AgentNodeAttestor } from '../../plugins/node-attestor/contract.ts';
import { type Bundle, emptyBundle } from '../../spiffe/bundle/bundle.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate, spiffeIdOf } from '../../spiffe/x509/certificate.ts';
import { createCsr } from '../../spiffe/x509/csr.ts';
import { SVID_SUBJECT } from '../../spiffe/x509/profile.ts';
import type { AgentIdentity, AttestationClient, ServerClient, SignedAgentSvid } from '../server-client/contract.ts';
import type { AgentData, AgentStore } from '../storage/agent-data.ts';
import { keyOf, newAgentKey, privateKeyOf } from './agent-key.ts';
import type { BootstrapRoots } from './bootstrap.ts';

export interface AttestationDependencies {
  readonly trustDomain: TrustDomain;
  readonly keyManager: KeyManager;
  readonly nodeAttestor: AgentNodeAttestor;
  readonly storage: AgentStore;
  /** What the server is verified with while nothing is stored yet. */
  bootstrapRoots(): Promise<BootstrapRoots>;
  /** Connects to the server without a client certificate. */
  connect(roots: BootstrapRoots, signal: AbortSignal): Promise<AttestationClient>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

/** An agent that the server knows. */
export interface Attested {
  readonly identity: AgentIdentity;
  readonly bundle: Bundle;
}

const RETRY = exponential(5000, 120_000);
/** After this long an agent that could not attest gives up, and its supervisor starts it anew. */
const GIVE_UP_MS = 60_000;
/** An SVID that ends within a second is not worth a handshake. */
const ALMOST_EXPIRED_MS = 1000;

/**
 * Makes the agent known to the server: takes up what is stored or, failing that, attests. Tries again for a minute,
 * except after a refusal.
 *
 * @throws FinialError the refusal, or the last failure
 */
export async function attestAgent(deps: AttestationDependencies, signal: AbortSignal): Promise<Attested> {
  const { clock, log, random } = deps;
  const deadline = clock.steady() + GIVE_UP_MS;
  for (let failures = 0; ; failures += 1) {
    try {
      return (await stored(deps, signal)) ?? (await attestAnew(deps, signal));
    } catch (error) {
      if (signal.aborted || hasCode(error, 'permission-denied')) throw error;
      const wait = backoffDelay(RETRY, failures, random);
      if (clock.steady() + wait > deadline) throw error;
      log.warn('Failed to retrieve attestation result', {
        error: messageOf(error),
        retry_interval: `${(wait / 1000).toFixed(3)}s`,
      });
      await clock.sleep(wait, signal);
    }
  }
}

/** The stored identity, when it is still of use. */
async function stored(deps: AttestationDependencies, signal: AbortSignal): Promise<Attested | undefined> {
  const { clock, keyManager, log, storage, trustDomain } = deps;
  const { svid, bundle, reattestable } = storage.data;
  const [first] = svid ?? [];
  const leaf = first === undefined ? undefined : parseCertificate(first);
  const key = leaf && (await keyOf(keyManager, leaf.publicKey));
  const use = judgeStored({
    hasKeys: (await keyManager.listKeys()).length > 0,
    hasKeyOfSvid: key !== undefined,
    expiresAt: leaf?.notAfter,
    now: clock.now(),
  });
  if (use.warning !== undefined) {
    const copies = leaf !== undefined && key === undefined ? await copiesOf(deps) : {};
    log.warn(use.warning, { agent_data: storage.file, keys_path: keyManager.place, ...copies });
  }
  if (!use.usable || svid === undefined || key === undefined) return undefined;
  const identity = await identityOf(keyManager, key, { chain: svid, reattestable });
  return { identity, bundle: bundle === undefined ? await fetchBundle(deps, signal) : bundleOf(trustDomain, bundle) };
}

/** Keys and SVID that do not belong together may each be half of what an agent needs that cannot attest again. */
async function copiesOf({ clock, keyManager, storage }: AttestationDependencies): Promise<object> {
  return {
    agent_data_copied_to: await storage.keepCopy(clock.now()),
    keys_copied_to: (await keyManager.listKeys()).length === 0 ? undefined : await keyManager.keepCopy?.(),
  };
}

/** What is known of the stored identity. Times are Unix milliseconds. */
export interface StoredIdentity {
  readonly hasKeys: boolean;
  readonly hasKeyOfSvid: boolean;
  /** Undefined when no SVID is stored. */
  readonly expiresAt: number | undefined;
  readonly now: number;
}

/** Whether a stored SVID is used or the agent attests, and what the operator hears (the table of agent.md 2.3). */
export function judgeStored(stored: StoredIdentity): { readonly usable: boolean; readonly warning?: string } {
  const { expiresAt, hasKeyOfSvid, hasKeys, now } = stored;
  if (expiresAt === undefined) {
    return hasKeys
      ? { usable: false, warning: 'Keys recovered, but no SVID found. Generating new keypair' }
      : { usable: false };
  }
  if (!hasKeyOfSvid) return { usable: false, warning: 'Private key not recovered. Generating new keypair' };
  if (now + ALMOST_EXPIRED_MS >= expiresAt) {
    return { usable: false, warning: 'Private key recovered, but SVID has expired. Generating new keypair' };
  }
  return { usable: true };
}

/** An agent that stopped between its attestation and the bundle has the one without the other. */
async function fetchBundle(deps: AttestationDependencies, signal: AbortSignal): Promise<Bundle> {
  const client = await deps.connect(await bootstrap(deps), signal);
  try {
    const bundle = await client.bundle(signal);
    await deps.storage.update((data) => ({ ...settled(data), bundle: certificatesOf(bundle) }));
    return bundle;
  } finally {
    client.close();
  }
}

function certificatesOf(bundle: Bundle): readonly Buffer[] {
  return bundle.x509Authorities.map(({ certificate }) => certificate);
}

/** The stored roots only verify: what else the bundle holds comes with the first synchronisation. */
function bundleOf(trustDomain: TrustDomain, roots: readonly Buffer[]): Bundle {
  return {
    ...emptyBundle(trustDomain),
    x509Authorities: roots.map((certificate) => ({ certificate, tainted: false })),
  };
}

async function attestAnew(deps: AttestationDependencies, signal: AbortSignal): Promise<Attested> {
  const { keyManager, log, nodeAttestor, storage } = deps;
  const roots = storage.data.bundle ?? (await bootstrap(deps));
  const client = await deps.connect(roots, signal);
  try {
    const key = await newAgentKey(keyManager, await currentKey(keyManager, storage.data));
    const csr = await createCsr({ signer: key, subject: SVID_SUBJECT, uris: [] });
    const signed = await client.attest(nodeAttestor, csr, signal);
    const identity = await identityOf(keyManager, key, signed);
    const { reattestable } = signed;
    // Kept at once: a join token that was used is gone, so an SVID that got lost could not be had again.
    await storage.update((data) => ({ ...data, svid: identity.chain, reattestable }));
    const bundle = await client.bundle(signal);
    await storage.update((data) => ({ ...settled(data), bundle: certificatesOf(bundle) }));
    log.info('Node attestation was successful', { reattestable, spiffe_id: identity.id });
    return { identity, bundle };
  } finally {
    client.close();
  }
}

/** Bootstrap is over once the server has answered. */
function settled({ bootstrapStartTime: _start, ...data }: AgentData): AgentData {
  return { ...data, bootstrapUse: 'rebootstrap', connectionAttempts: 0 };
}

/** Counts the attempt before it is made, as the reference does for whoever watches the file. */
async function bootstrap(deps: AttestationDependencies): Promise<BootstrapRoots> {
  const { clock, storage } = deps;
  await storage.update((data) => ({
    ...data,
    bootstrapUse: 'bootstrap',
    bootstrapStartTime: data.bootstrapStartTime ?? new Date(clock.now()),
    connectionAttempts: data.connectionAttempts + 1,
  }));
  return deps.bootstrapRoots();
}

async function currentKey(keyManager: KeyManager, { svid }: AgentData): Promise<Key | undefined> {
  const [leaf] = svid ?? [];
  return leaf === undefined ? undefined : keyOf(keyManager, parseCertificate(leaf).publicKey);
}

/**
 * A new SVID for an agent that has one: attests again where the node can, and renews otherwise. The old key and SVID
 * stay in force until the new ones are on disk.
 */
export async function rotateIdentity(
  deps: AttestationDependencies & { readonly client: Pick<ServerClient, 'renewAgent'> },
  current: AgentIdentity,
  signal: AbortSignal,
): Promise<AgentIdentity> {
  if (current.reattestable) return (await attestAnew(deps, signal)).identity;
  const key = await newAgentKey(deps.keyManager, current.key);
  const csr = await createCsr({ signer: key, subject: SVID_SUBJECT, uris: [] });
  const signed = await deps.client.renewAgent(csr, signal);
  const identity = await identityOf(deps.keyManager, key, signed);
  await deps.storage.update((data) => ({ ...data, svid: identity.chain, reattestable: false }));
  return identity;
}

/** @throws FinialError `internal` when the server signed for another key */
async function identityOf(
  keyManager: KeyManager,
  key: Key,
  { chain, reattestable }: SignedAgentSvid,
): Promise<AgentIdentity> {
  const [first] = chain;
  if (first === undefined) throw new FinialError('internal', 'the chain of the agent is empty');
  const leaf = parseCertificate(first);
  if (!leaf.publicKey.equals(key.publicKey))
    throw new FinialError('internal', 'the SVID of the agent is for another key');
  const { notBefore, notAfter } = leaf;
  const privateKey = await privateKeyOf(keyManager, key);
  return Object.freeze({ id: spiffeIdOf(leaf), chain, key, privateKey, notBefore, notAfter, reattestable });
}
