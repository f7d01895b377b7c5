import { FinialError } from '../../common/errors.ts';
import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { KeyType } from '../../spiffe/signer.ts';
import { parseCertificate, spiffeIdOf } from '../../spiffe/x509/certificate.ts';
import { createCsr } from '../../spiffe/x509/csr.ts';
import { generateSigner, type PrivateKeySigner } from '../../spiffe/x509/key.ts';
import { SVID_SUBJECT } from '../../spiffe/x509/profile.ts';
import type { CacheFeed, HeldX509Svid } from '../cache/contract.ts';
import type { AgentEntry, ServerClient, SignedX509Svid } from '../server-client/contract.ts';

/** No batch is larger; smaller ones follow when the server cannot manage (agent.md 3.1). */
const LARGEST_BATCH = 500;
/** As long as one batch takes, nobody gets what is in it; 10 RSA keys take a second. */
const LARGEST_RSA_BATCH = 10;

/** Who signs, and what is held already. */
export interface SigningDependencies {
  readonly client: Pick<ServerClient, 'signX509Svids'>;
  readonly feed: Pick<CacheFeed, 'stale' | 'setSvids'>;
  readonly keyType: KeyType;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Logger;
}

/** Whether a held SVID is to be replaced although its entry did not change. */
export type Due = (svid: HeldX509Svid, entry: AgentEntry) => boolean;

/**
 * Makes the function that has all stale SVIDs signed, batch by batch. An entry is asked for once per run, so that one
 * the server does not sign cannot keep it going. The size of the batches halves when one fails and doubles again when
 * one succeeds.
 */
export function x509Signing(deps: SigningDependencies): (due: Due, signal: AbortSignal) => Promise<void> {
  const largest = deps.keyType.startsWith('rsa') ? LARGEST_RSA_BATCH : LARGEST_BATCH;
  let size = largest;
  return async (due, signal) => {
    const asked = new Set<string>();
    while (!signal.aborted) {
      const batch = deps.feed
        .stale(due)
        .filter((entry) => !asked.has(entry.id))
        .slice(0, size);
      if (batch.length === 0) return;
      for (const { id } of batch) asked.add(id);
      try {
        await signBatch(deps, batch, signal);
      } catch (error) {
        size = Math.max(1, Math.floor(size / 2));
        throw error;
      }
      size = Math.min(largest, size * 2);
    }
  };
}

/**
 * Keys that are made at a time. An RSA key takes a thread of the pool for a tenth of a second or more; whatever else
 * needs the pool, as looking at callers does, would wait for as long as all of a batch take.
 */
const KEYS_AT_ONCE: Readonly<Record<KeyType, number>> = { 'ec-p256': 32, 'ec-p384': 8, 'rsa-2048': 1, 'rsa-4096': 1 };

async function signBatch(deps: SigningDependencies, batch: readonly AgentEntry[], signal: AbortSignal): Promise<void> {
  const requests: Request[] = [];
  const atOnce = KEYS_AT_ONCE[deps.keyType];
  for (let from = 0; from < batch.length; from += atOnce) {
    signal.throwIfAborted();
    const some = batch.slice(from, from + atOnce);
    requests.push(...(await Promise.all(some.map((entry) => requestFor(entry, deps.keyType)))));
  }
  const signed = await deps.client.signX509Svids(requests, signal);
  const svids = new Map<string, HeldX509Svid>();
  for (const { entry, signer } of requests) {
    const answer = signed.get(entry.id);
    try {
      if (answer === undefined) continue;
      const svid = { ...hold(answer, entry, signer), receivedAt: deps.clock.now() };
      svids.set(entry.id, svid);
      const expires_at = new Date(svid.notAfter).toISOString();
      deps.log.debug('SVID updated', { entry: entry.id, spiffe_id: entry.spiffeId, expires_at });
    } catch (error) {
      deps.log.error('Server signed something else than was asked for', { entry_id: entry.id, error });
    }
  }
  deps.feed.setSvids(svids);
}

interface Request {
  readonly entry: AgentEntry;
  readonly signer: PrivateKeySigner;
  readonly entryId: string;
  readonly csr: Buffer;
}

/** With a new key each time: a stolen one is of use no longer than its SVID. */
async function requestFor(entry: AgentEntry, keyType: KeyType): Promise<Request> {
  const signer = await generateSigner(keyType);
  const csr = await createCsr({ signer, subject: SVID_SUBJECT, uris: [entry.spiffeId] });
  return { entry, signer, entryId: entry.id, csr };
}

/** @throws FinialError when the certificate is not for the entry's identity and our key */
function hold(
  { chain }: SignedX509Svid,
  entry: AgentEntry,
  signer: PrivateKeySigner,
): Omit<HeldX509Svid, 'receivedAt'> {
  const [first] = chain;
  if (first === undefined) throw new FinialError('internal', 'the chain is empty');
  const leaf = parseCertificate(first);
  const id = spiffeIdOf(leaf);
  if (id !== entry.spiffeId) throw new FinialError('internal', `the certificate is for ${id}`);
  if (!leaf.publicKey.equals(signer.publicKey)) throw new FinialError('internal', 'the certificate is for another key');
  const { notBefore, notAfter } = leaf;
  return { chain, privateKey: signer.privateKey, notBefore, notAfter, revisionNumber: entry.revisionNumber };
}
