import { FinialError } from '../../../common/errors.ts';
import type { BidiHandler } from '../../../common/rpc/call.ts';
import type { AttestAgentRequest__Output } from '../../../proto/gen/spire/api/server/agent/v1/AttestAgentRequest.ts';
import type { AttestAgentResponse } from '../../../proto/gen/spire/api/server/agent/v1/AttestAgentResponse.ts';
import type { SpiffeId } from '../../../spiffe/id.ts';
import { type AttestDeps, attestNode } from '../../attestation/attest.ts';
import { type CallState, stateOf } from '../call-state.ts';
import { x509SvidToProto } from '../convert/x509-svid.ts';
import { formatAddress } from '../interceptors/caller.ts';
import { outbox } from '../outbox.ts';
import { limitOrRefuse, readOrRefuse, refuse } from '../refuse.ts';

/** Attests a node and gives its agent an SVID; asks the agent back as often as the attestor wants. */
export function attestAgent(deps: AttestDeps): BidiHandler<AttestAgentRequest__Output, AttestAgentResponse> {
  return async function* (requests, call) {
    const state = stateOf(call);
    await limitOrRefuse(state, 1, 'rejecting request due to attest agent rate limiting');
    const incoming = requests[Symbol.asyncIterator]();
    const first = await incoming.next();
    if (first.done === true) throw refuse(state.log, 'invalid-argument', 'failed to receive request from stream');
    const params = readOrRefuse(state.log, 'malformed param', () => checkParams(first.value.params));
    state.audit.add({ node_attestor_type: params.type });
    const log = state.log.with({ node_attestor_type: params.type });

    const answers = outbox<AttestAgentResponse>();
    const challenge = async (data: Buffer): Promise<Buffer> => {
      answers.put({ challenge: data });
      const next = await incoming.next();
      if (next.done === true) throw new FinialError('internal', 'failed to receive challenge from agent');
      return next.value.challenge_response ?? Buffer.alloc(0);
    };
    void (async () => {
      try {
        const request = { ...params, challenge };
        const noteAgent = (id: SpiffeId): void => state.audit.add({ agent_id: id });
        const { canReattest, svid } = await attestNode(deps, request, log, noteAgent);
        log.info('Agent attestation request completed', { agent_id: svid.id, ...addressOf(state) });
        answers.put({ result: { svid: x509SvidToProto(svid), reattestable: canReattest } });
        answers.end();
      } catch (error) {
        answers.fail(error instanceof FinialError ? refuse(log, error.code, error.message) : error);
      }
    })();
    yield* answers.take();
  };
}

/** In the reference's order, so that the first complaint is the same. */
function checkParams(params: AttestAgentRequest__Output['params']): { type: string; payload: Buffer; csr: Buffer } {
  const wrong = (what: string): FinialError => new FinialError('invalid-argument', what);
  if (params === null || params === undefined) throw wrong('missing params');
  if (params.data === null) throw wrong('missing attestation data');
  if (params.params === null) throw wrong('missing X509-SVID parameters');
  if (params.params.csr.length === 0) throw wrong('missing CSR');
  if (params.data.type === '') throw wrong('missing attestation data type');
  if (params.data.payload.length === 0) throw wrong('missing attestation data payload');
  return { type: params.data.type, payload: params.data.payload, csr: params.params.csr };
}

function addressOf({ caller }: CallState): { address?: string } {
  return caller.kind === 'local' ? {} : { address: formatAddress(caller.address, caller.port) };
}
