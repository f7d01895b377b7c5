import { FinialError, hasCode } from '../../../common/errors.ts';
import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { NodeStore } from '../../../plugins/datastore/sql/contract.ts';
import type { RenewAgentRequest__Output } from '../../../proto/gen/spire/api/server/agent/v1/RenewAgentRequest.ts';
import type { RenewAgentResponse } from '../../../proto/gen/spire/api/server/agent/v1/RenewAgentResponse.ts';
import { type AgentSvidIssuer, signAgentSvid } from '../../attestation/agent-svid.ts';
import { hashField } from '../audit-fields.ts';
import { callerIdOf, stateOf } from '../call-state.ts';
import { x509SvidToProto } from '../convert/x509-svid.ts';
import { limitOrRefuse, refuse, workOrRefuse } from '../refuse.ts';

/**
 * Gives a calling agent a new SVID. The serial is noted beside the one in use and both are good until the new one is
 * seen, so that a lost answer does not lock the agent out.
 */
export function renewAgent(deps: {
  readonly nodes: Pick<NodeStore, 'get' | 'update'>;
  readonly issuer: AgentSvidIssuer;
}): UnaryHandler<RenewAgentRequest__Output, RenewAgentResponse> {
  return async ({ params }, call) => {
    const state = stateOf(call);
    const { audit, log } = state;
    if (params !== null && params.csr.length > 0) audit.add({ csr: hashField(params.csr) });
    await limitOrRefuse(state, 1, 'rejecting request due to renew agent rate limiting');
    const id = callerIdOf(state);
    const node = await workOrRefuse(log, 'failed to fetch agent', deps.nodes.get(id));
    if (node === undefined) throw refuse(log, 'not-found', 'agent not found');
    if (node.canReattest) {
      const denial = 'agent-must-reattest';
      throw new FinialError('permission-denied', 'agent must reattest instead of renew', { denial });
    }
    log.info('Renewing agent SVID');
    if (params === null) throw refuse(log, 'invalid-argument', 'params cannot be nil');
    if (params.csr.length === 0) throw refuse(log, 'invalid-argument', 'missing CSR');
    const svid = await signAgentSvid(deps.issuer, id, params.csr).catch((error: FinialError) => {
      throw refuse(log, error.code, error.message);
    });
    try {
      await deps.nodes.update(id, { newSerialNumber: svid.serialNumber, newExpiresAt: svid.expiresAt });
    } catch (error) {
      if (hasCode(error, 'not-found')) throw refuse(log, 'not-found', 'agent not found');
      throw refuse(log, 'internal', 'failed to update agent', error);
    }
    audit.add({ expires_at: svid.expiresAt });
    return { svid: x509SvidToProto(svid) };
  };
}
