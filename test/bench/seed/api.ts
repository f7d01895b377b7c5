import type { KeyObject } from 'node:crypto';
import { attestationClient } from '../../../agent/server-client/attestation-client.ts';
import { bundleFromProto } from '../../../agent/server-client/convert.ts';
import type { RpcChannel } from '../../../common/rpc/client.ts';
import { agentService, bundleService, entryService } from '../../../common/rpc/services.ts';
import type { Entry as EntryMessage } from '../../../proto/gen/spire/api/types/Entry.ts';
import type { Bundle } from '../../../spiffe/bundle/bundle.ts';
import { pathOf, type SpiffeId, trustDomainOf } from '../../../spiffe/id.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { parseCertificate, spiffeIdOf } from '../../../spiffe/x509/certificate.ts';
import { createCsr } from '../../../spiffe/x509/csr.ts';
import { generateSigner } from '../../../spiffe/x509/key.ts';
import { SVID_SUBJECT } from '../../../spiffe/x509/profile.ts';
import type { SeedEntry } from './entries.ts';

const CALL = { timeoutMs: 60_000 } as const;
/** Entries in one call, small enough for servers that validate each of them in a transaction of its own. */
const BATCH = 200;
/** gRPC status codes of items. */
const OK = 0;
const ALREADY_EXISTS = 6;

/** The message form of an ID. */
export function idMessage(id: SpiffeId): { readonly trust_domain: string; readonly path: string } {
  return { trust_domain: trustDomainOf(id), path: pathOf(id) };
}

/** The message form of an entry to create. */
export function entryMessage(entry: SeedEntry): EntryMessage {
  return {
    id: entry.id,
    spiffe_id: idMessage(entry.spiffeId),
    parent_id: idMessage(entry.parentId),
    selectors: [...entry.selectors],
    dns_names: [...entry.dnsNames],
  };
}

/**
 * Creates entries by the admin API of any server; those that are there already are left alone.
 *
 * @param progress hears now and then how many are there, as some servers take many minutes for many
 * @returns their IDs on the server, in their order: of those that were there already, the IDs that they had
 * @throws Error when the server refuses one
 */
export async function createEntries(
  admin: RpcChannel,
  entries: Iterable<SeedEntry>,
  progress: (made: number) => void = () => undefined,
): Promise<string[]> {
  const ids: string[] = [];
  const create = async (batch: readonly SeedEntry[]): Promise<void> => {
    const request = { entries: batch.map(entryMessage), output_mask: {} };
    const { results } = await admin.call(entryService(), 'BatchCreateEntry', request, CALL);
    const refused = results.find(({ status }) => status?.code !== OK && status?.code !== ALREADY_EXISTS);
    if (refused !== undefined) throw new Error(`an entry was not created: ${refused.status?.message}`);
    ids.push(...batch.map(({ id }, n) => results[n]?.entry?.id || id));
    progress(ids.length);
  };
  let batch: SeedEntry[] = [];
  for (const one of entries) {
    batch.push(one);
    if (batch.length === BATCH) await create(batch.splice(0));
  }
  if (batch.length > 0) await create(batch);
  return ids;
}

/** Deletes entries; those that are not there are passed over. */
export async function deleteEntries(admin: RpcChannel, ids: readonly string[]): Promise<void> {
  for (let at = 0; at < ids.length; at += BATCH) {
    await admin.call(entryService(), 'BatchDeleteEntry', { ids: ids.slice(at, at + BATCH) }, CALL);
  }
}

/** An agent that the bench itself plays. */
export interface BenchAgent {
  readonly id: SpiffeId;
  /** DER, leaf first. */
  readonly chain: readonly Buffer[];
  readonly privateKey: KeyObject;
  /** Of the server's trust domain. */
  readonly bundle: Bundle;
}

/** A server, by both its doors. */
export interface SeedTarget {
  /** `host:port` of the agent-facing API. */
  readonly address: string;
  readonly admin: RpcChannel;
  /** Gets the IDs of agents that the bench attests, so that they can be taken away again. */
  readonly played?: string[];
}

/** The server's own bundle by the admin API, which also tells the trust domain. */
export async function serverBundle(admin: RpcChannel): Promise<Bundle> {
  const bundle = await admin.call(bundleService(), 'GetBundle', {}, CALL);
  return bundleFromProto(bundle, parseTrustDomain(bundle.trust_domain));
}

/**
 * Attests an agent with a join token of its own.
 *
 * @param alias when given, the agent is also known by this ID and may have the entries below it; servers take up the
 *   alias with their next look at the entries
 */
export async function attestBenchAgent(target: SeedTarget, alias?: SpiffeId): Promise<BenchAgent> {
  const bundle = await serverBundle(target.admin);
  const request = { ttl: 3600, ...(alias && { agent_id: idMessage(alias) }) };
  const { value: token } = await target.admin.call(agentService(), 'CreateJoinToken', request, CALL);
  const signal = AbortSignal.timeout(CALL.timeoutMs);
  const roots = bundle.x509Authorities.map(({ certificate }) => certificate);
  const server = { address: target.address, trustDomain: bundle.trustDomain };
  const client = await attestationClient(server, roots, signal);
  try {
    const signer = await generateSigner('ec-p256');
    const csr = await createCsr({ signer, subject: SVID_SUBJECT, uris: [] });
    const attestor = {
      type: 'join_token',
      begin: async () => ({ payload: Buffer.from(token), respond: async () => Buffer.alloc(0) }),
    };
    const { chain } = await client.attest(attestor, csr, signal);
    const [leaf] = chain;
    if (leaf === undefined) throw new Error('the server attested an agent but sent no SVID');
    const id = spiffeIdOf(parseCertificate(leaf));
    target.played?.push(id);
    return { id, chain, privateKey: signer.privateKey, bundle };
  } finally {
    client.close();
  }
}
