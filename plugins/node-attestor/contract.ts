import type { SpiffeId } from '../../spiffe/id.ts';
import type { Selector } from '../../spiffe/selector.ts';

/** What the server half of a node attestor concludes. */
export interface NodeAttestation {
  readonly agentId: SpiffeId;
  readonly selectors: readonly Selector[];
  /** Whether the same evidence may attest the node again later. */
  readonly canReattest: boolean;
}

/** The server half: judges the evidence of a node. */
export interface ServerNodeAttestor {
  /**
   * @param payload the agent's first message
   * @param challenge sends a challenge to the agent and resolves to its response; may be called any number of times
   * @throws FinialError whose code and message the agent sees
   */
  attest(payload: Buffer, challenge: (data: Buffer) => Promise<Buffer>): Promise<NodeAttestation>;
}

/** What the server lends to the server half of a node attestor. */
export interface ServerNodeAttestorHost {
  readonly joinTokens: JoinTokens;
  /** Whether an agent of this ID was attested before; plugins that trust on first use refuse a second time. */
  isAttested(agentId: SpiffeId): Promise<boolean>;
}

/** Single-use tokens, decided in one transaction of the datastore. */
export interface JoinTokens {
  /**
   * Takes the token out of the store; of any number of simultaneous calls exactly one gets it.
   *
   * @returns its expiry in Unix seconds, or undefined when it does not exist or was used before
   */
  consume(token: string): Promise<{ readonly expiresAt: number } | undefined>;
}

/** The agent half: presents evidence about the node. */
export interface AgentNodeAttestor {
  /** The attestation type the server is told, which names its plugin. */
  readonly type: string;
  /** Begins one attestation. */
  begin(): Promise<AgentAttestation>;
}

/** One attestation: what the agent sends first, and what it answers to challenges. */
export interface AgentAttestation {
  readonly payload: Buffer;
  respond(challenge: Buffer): Promise<Buffer>;
}

/** What the agent lends to the agent half of a node attestor. */
export interface AgentNodeAttestorHost {
  /** The join token of the agent's configuration, if any. */
  readonly joinToken: string | undefined;
}
