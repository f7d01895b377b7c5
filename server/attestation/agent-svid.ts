import { FinialError, withContext } from '../../common/errors.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import { parseCsr } from '../../spiffe/x509/csr.ts';

/** The SVID of an agent. `expiresAt` is in Unix seconds, the serial number is decimal. */
export interface AgentSvid {
  readonly id: SpiffeId;
  readonly chain: readonly Buffer[];
  readonly serialNumber: string;
  readonly expiresAt: number;
}

/** The part of the issuer that serves agents. */
export interface AgentSvidIssuer {
  agentX509Svid(request: { readonly publicKey: Buffer; readonly id: SpiffeId }): Promise<AgentSvid>;
}

/**
 * Signs an agent's SVID over the key of its request. As in the reference, the request's own signature is not looked at:
 * the agent proves its key in the first handshake with the SVID.
 *
 * @param csr DER
 * @throws FinialError `invalid-argument` or `internal`, with the text for the caller
 */
export async function signAgentSvid(issuer: AgentSvidIssuer, id: SpiffeId, csr: Buffer): Promise<AgentSvid> {
  const { publicKey } = readCsr(csr);
  try {
    return await issuer.agentX509Svid({ publicKey, id });
  } catch (error) {
    throw new FinialError('internal', withContext('failed to sign X509 SVID', error).message, { cause: error });
  }
}

function readCsr(csr: Buffer): { readonly publicKey: Buffer } {
  try {
    return parseCsr(csr);
  } catch (error) {
    throw new FinialError('invalid-argument', withContext('failed to parse CSR', error).message, { cause: error });
  }
}
