import { FinialError, messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { NodeStore } from '../../plugins/datastore/sql/contract.ts';
import type { NodeAttestation, ServerNodeAttestor } from '../../plugins/node-attestor/contract.ts';
import { isMemberOf, pathOf, type SpiffeId } from '../../spiffe/id.ts';
import { SERVER_PATH } from '../../spiffe/registration/authorized.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { type AgentSvid, type AgentSvidIssuer, signAgentSvid } from './agent-svid.ts';
import { isBanned } from '../../spiffe/registration/node.ts';

/** What deciding about an attestation takes. */
export interface AttestDeps {
  readonly trustDomain: TrustDomain;
  /** By the attestation type that agents name. */
  readonly attestors: ReadonlyMap<string, ServerNodeAttestor>;
  readonly nodes: Pick<NodeStore, 'get' | 'attested'>;
  readonly issuer: AgentSvidIssuer;
  /** Whether the agent's own ID becomes one of its selectors. */
  readonly agentIdAsSelector: boolean;
}

/** What an agent says of itself. */
export interface AttestRequest {
  readonly type: string;
  readonly payload: Buffer;
  /** DER of the agent's certificate request. */
  readonly csr: Buffer;
  /** Sends a challenge to the agent and resolves to its response. */
  readonly challenge: (data: Buffer) => Promise<Buffer>;
}

/** What an agent gets. */
export interface Attested {
  readonly svid: AgentSvid;
  readonly canReattest: boolean;
}

/**
 * Judges a node's evidence and, when it holds, notes the node and signs its agent's SVID. The evidence may be used up
 * although a later step fails, as with a join token.
 *
 * @param noteAgent told the ID as soon as it is known
 * @throws FinialError with the text for the agent
 */
export async function attestNode(
  deps: AttestDeps,
  request: AttestRequest,
  log: Logger,
  noteAgent: (id: SpiffeId) => void,
): Promise<Attested> {
  const { agentId, canReattest, selectors } = await judge(deps, request);
  noteAgent(agentId);
  checkAgentId(agentId, request.type, deps.trustDomain, log);
  const known = await working('failed to fetch agent', deps.nodes.get(agentId));
  if (known !== undefined && isBanned(known))
    throw new FinialError('permission-denied', 'failed to attest: agent is banned');
  const svid = await signAgentSvid(deps.issuer, agentId, request.csr);
  const own: Selector[] = deps.agentIdAsSelector ? [{ type: 'spiffe_id', value: agentId }] : [];
  const node = {
    id: agentId,
    attestationType: request.type,
    serialNumber: svid.serialNumber,
    expiresAt: svid.expiresAt,
    canReattest,
    selectors: distinct([...selectors, ...own]),
  };
  await working('failed to update attested agent', deps.nodes.attested(node));
  return { svid, canReattest };
}

async function judge({ attestors }: AttestDeps, request: AttestRequest): Promise<NodeAttestation> {
  const attestor = attestors.get(request.type);
  if (attestor === undefined) {
    const why = `could not find node attestor type ${JSON.stringify(request.type)}`;
    throw new FinialError('failed-precondition', `error getting node attestor: ${why}`);
  }
  return attestor.attest(request.payload, request.challenge);
}

/** An attestor that names agents outside its own namespace is tolerated, as deployments in the field have them. */
function checkAgentId(id: SpiffeId, type: string, trustDomain: TrustDomain, log: Logger): void {
  if (!isMemberOf(id, trustDomain)) {
    throw new FinialError('internal', `invalid agent ID: "${id}" is not a member of trust domain "${trustDomain}"`);
  }
  if (pathOf(id) === SERVER_PATH) throw new FinialError('internal', 'agent ID cannot collide with the server ID');
  if (!pathOf(id).startsWith(`/spire/agent/${type}/`)) {
    log.warn('The node attestor produced an agent ID outside its namespace', { agent_id: id });
  }
}

function distinct(selectors: readonly Selector[]): readonly Selector[] {
  return [...new Map(selectors.map((one) => [formatSelector(one), one])).values()];
}

async function working<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const why = error instanceof FinialError ? messageOf(error) : 'internal error';
    throw new FinialError('internal', `${what}: ${why}`, { cause: error });
  }
}
