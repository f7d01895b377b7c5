import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectUnix, type RpcChannel } from '../../../common/rpc/client.ts';
import { workloadService } from '../../../common/rpc/services.ts';
import type { Bundle } from '../../../spiffe/bundle/bundle.ts';
import { parseSpiffeId, spiffeId, type SpiffeId } from '../../../spiffe/id.ts';
import { splitCertificates } from '../../../spiffe/x509/certificate.ts';
import { parseX509Svid } from '../../../spiffe/x509/svid.ts';
import { callBlock, framed } from '../load/connection.ts';
import { connectPeer } from '../load/run.ts';
import { createEntries, serverBundle } from '../seed/api.ts';
import type { Site } from '../target/launch.ts';
import { decodeAnswer, encodeRequest, judgeX509Svid, pathOfMethod } from './messages.ts';

// The bench's own process is the workload of the rows about agents: attested by its user, like any other.

/** After so long a change that did not arrive is given up, in milliseconds; servers and agents look every 5 seconds. */
export const PATIENCE_MS = 60_000;

/** Methods of the Workload API that the bench calls. */
export type WorkloadMethod = 'FetchX509SVID' | 'FetchJWTSVID' | 'ValidateJWTSVID';

/** An identity that this process has. */
export interface SelfIdentity {
  readonly id: SpiffeId;
  /** Of its entries, one below each agent. */
  readonly entryIds: readonly string[];
  readonly bundle: Bundle;
}

/**
 * Registers this process by its user, below every agent that may be the one it asks.
 *
 * @param name the last part of the ID; `series` is the first part of the entries' IDs, one for each name. The rest is new
 *   each time: agents know entries by ID and revision, so one that was deleted and made anew would be no change to them.
 */
export async function registerSelf(
  admin: RpcChannel,
  agents: readonly string[],
  { name, series }: { readonly name: string; readonly series: string },
): Promise<SelfIdentity> {
  const bundle = await serverBundle(admin);
  const id = spiffeId(bundle.trustDomain, `/bench/${name}`);
  const selectors = [{ type: 'unix', value: `uid:${process.geteuid?.() ?? 0}` }];
  const entries = agents.map((agent) => ({
    id: `${series}${randomUUID().slice(8)}`,
    parentId: parseSpiffeId(agent),
    ...{ spiffeId: id, selectors, dnsNames: [] },
  }));
  return { id, bundle, entryIds: await createEntries(admin, entries) };
}

/** Starts a site's agent, with an entry for this process there before it asks, and waits until this process is served. */
export async function startServed(
  site: Site,
  name: { readonly name: string; readonly series: string },
): Promise<SelfIdentity> {
  const admin = connectUnix(site.at.adminSocket);
  try {
    const identity = await registerSelf(admin, [await site.admitAgent()], name);
    await site.startAgent();
    await untilServed(site.at.workloadSocket, identity);
    return identity;
  } finally {
    admin.close();
  }
}

/** The bytes of a call of the Workload API. */
export function workloadCall(
  method: WorkloadMethod,
  message: object,
): { readonly block: Buffer; readonly request: Buffer } {
  const block = callBlock(pathOfMethod(workloadService(), method), 'http');
  return { block, request: framed(encodeRequest(workloadService(), method, message)) };
}

/** The first message of an answer; undefined when the call failed before one came. */
export async function firstAnswer(
  socketPath: string,
  method: WorkloadMethod,
  message: object,
): Promise<Buffer | undefined> {
  const connection = await connectPeer({ socketPath });
  const giveUp = setTimeout(() => connection.close(), PATIENCE_MS);
  try {
    const { block, request } = workloadCall(method, message);
    return await new Promise((resolve) => {
      connection.call(block, request, {
        message: (bytes) => resolve(Buffer.from(bytes)),
        end: () => resolve(undefined),
      });
    });
  } finally {
    clearTimeout(giveUp);
    connection.close();
  }
}

/** Waits until the agent hands this identity out. */
export async function untilServed(socketPath: string, identity: SelfIdentity): Promise<void> {
  const giveUp = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await firstAnswer(socketPath, 'FetchX509SVID', {});
    const wrong = answer === undefined ? 'the agent refused, or did not answer' : judgeUpdate(answer, identity);
    if (wrong === undefined) return;
    if (Date.now() > giveUp) throw new Error(`no SVID of ${identity.id} within ${PATIENCE_MS} ms: ${wrong}`);
    await sleep(50);
  }
}

/**
 * Judges a FetchX509SVID message whole: ID, chain to the server's bundle, lifetime, and that the key is the certificate's.
 *
 * @param dnsName that the certificate must carry
 * @returns what is wrong, or undefined
 */
export function judgeUpdate(message: Uint8Array, { id, bundle }: SelfIdentity, dnsName?: string): string | undefined {
  const { svids } = decodeAnswer(workloadService(), 'FetchX509SVID', message);
  const own = svids.find(({ spiffe_id: found }) => found === id);
  if (own === undefined) return `no SVID for ${id}`;
  const { chain } = parseX509Svid(own.x509_svid, own.x509_svid_key);
  if (dnsName !== undefined && !chain[0].dnsNames.includes(dnsName)) return `the SVID of ${id} lacks ${dnsName}`;
  return judgeX509Svid(splitCertificates(own.x509_svid), id, bundle);
}
