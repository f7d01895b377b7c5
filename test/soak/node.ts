import { attestationClient } from '../../agent/server-client/attestation-client.ts';
import type { AgentIdentity, ServerClient } from '../../agent/server-client/contract.ts';
import { serverClient } from '../../agent/server-client/server-client.ts';
import { silentLogger } from '../../common/log/logger.ts';
import { agentService } from '../../common/rpc/services.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate, spiffeIdOf } from '../../spiffe/x509/certificate.ts';
import { createCsr } from '../../spiffe/x509/csr.ts';
import { generateSigner, type PrivateKeySigner } from '../../spiffe/x509/key.ts';
import { encodeName } from '../../spiffe/x509/name.ts';
import { type Admin, CALL_TIMEOUT_MS } from './admin.ts';
import { type Site, TRUST_DOMAIN } from './processes.ts';

/** An alias of every node that the load lets attest; the entries that they may have are below it. */
export const NODES = '/soak-nodes';

const TOKEN_TTL_S = 3600;

/** A new key and what is sent of it. */
export async function newKey(id?: string): Promise<{ readonly signer: PrivateKeySigner; readonly csr: Buffer }> {
  const signer = await generateSigner('ec-p256');
  const uris = id === undefined ? [] : [parseSpiffeId(id)];
  return { signer, csr: await createCsr({ signer, subject: encodeName({}), uris }) };
}

/** @param alias the path of an ID that the node gets besides its own */
export async function createToken(admin: Admin, alias?: string): Promise<string> {
  const agent_id = alias === undefined ? null : { trust_domain: TRUST_DOMAIN, path: alias };
  const request = { ttl: TOKEN_TTL_S, agent_id };
  return (await admin.channel.call(agentService(), 'CreateJoinToken', request, { timeoutMs: CALL_TIMEOUT_MS })).value;
}

export function agentIdOf(token: string): string {
  return `spiffe://${TRUST_DOMAIN}/spire/agent/join_token/${token}`;
}

/** Attests with a token over the server's TCP API. @throws FinialError the server's refusal, or that it is not there */
export async function attestNode(
  site: Pick<Site, 'port'>,
  roots: readonly Buffer[],
  token: string,
): Promise<AgentIdentity> {
  const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
  const client = await attestationClient(targetOf(site), roots, signal);
  const refuse = (): never => {
    throw new Error('a join token is no dialogue');
  };
  try {
    const { signer, csr } = await newKey();
    const attestor = {
      type: 'join_token',
      begin: async () => ({ payload: Buffer.from(token), respond: async () => refuse() }),
    };
    const { chain } = await client.attest(attestor, csr, signal);
    return identityOf(chain, signer);
  } finally {
    client.close();
  }
}

export function identityOf(chain: readonly Buffer[], signer: PrivateKeySigner): AgentIdentity {
  const leaf = parseCertificate(chain[0] ?? Buffer.of());
  return {
    ...{ id: spiffeIdOf(leaf), chain, key: { ...signer, id: 'soak' }, privateKey: signer.privateKey },
    ...{ notBefore: leaf.notBefore, notAfter: leaf.notAfter, reattestable: false },
  };
}

/** The server as that node sees it. */
export function clientOf(
  site: Pick<Site, 'port'>,
  identity: () => AgentIdentity,
  roots: () => readonly Buffer[],
): ServerClient {
  return serverClient({ target: targetOf(site), identity, roots, log: silentLogger });
}

function targetOf({ port }: Pick<Site, 'port'>): Parameters<typeof attestationClient>[0] {
  return { address: `127.0.0.1:${port}`, trustDomain: parseTrustDomain(TRUST_DOMAIN) };
}
