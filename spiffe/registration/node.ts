import type { SpiffeId } from '../id.ts';
import type { Selector } from '../selector.ts';

/** A node whose agent was attested. Serial numbers are decimal text; times are Unix seconds. */
export interface AttestedNode {
  readonly id: SpiffeId;
  readonly attestationType: string;
  /** Serial of the agent's X509-SVID in use; empty when the agent is banned. */
  readonly serialNumber: string;
  readonly expiresAt: number;
  /** Serial of a renewed X509-SVID not yet seen in use; empty when there is none. */
  readonly newSerialNumber: string;
  readonly newExpiresAt: number;
  readonly canReattest: boolean;
  readonly agentVersion: string;
  readonly selectors: readonly Selector[];
}

/**
 * Banning blanks the serial number and leaves the row, so that the node cannot attest again. The current serial alone
 * decides, as in the reference (measured).
 */
export function isBanned(node: Pick<AttestedNode, 'serialNumber'>): boolean {
  return node.serialNumber === '';
}
