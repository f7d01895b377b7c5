import { FinialError } from '../../common/errors.ts';
import type { RpcChannel } from '../../common/rpc/client.ts';
import { agentService, bundleService } from '../../common/rpc/services.ts';
import type { AgentNodeAttestor } from '../../plugins/node-attestor/contract.ts';
import { connectServer, presentedRoots, serverError, type ServerTarget } from './connect.ts';
import { bundleFromProto } from './convert.ts';
import type { AttestationClient, SignedAgentSvid } from './contract.ts';

const CALL_TIMEOUT_MS = 30_000;

/**
 * Connects without a client certificate.
 *
 * @param roots what the server is verified with, DER; `insecure` takes whatever it presents
 * @throws FinialError `unavailable` when insecure bootstrap finds no server
 */
export async function attestationClient(
  target: ServerTarget,
  roots: readonly Buffer[] | 'insecure',
  signal: AbortSignal,
): Promise<AttestationClient> {
  const channel = connectServer(target, roots === 'insecure' ? await presentedRoots(target, signal) : roots, undefined);
  const named = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw serverError(target.address, error);
    });
  return {
    attest: (attestor, csr, own) => named(attest(channel, attestor, csr, own)),
    async bundle(own) {
      const options = { signal: own, timeoutMs: CALL_TIMEOUT_MS };
      return bundleFromProto(await named(channel.call(bundleService(), 'GetBundle', {}, options)), target.trustDomain);
    },
    close: () => channel.close(),
  };
}

async function attest(
  channel: RpcChannel,
  attestor: AgentNodeAttestor,
  csr: Buffer,
  signal: AbortSignal,
): Promise<SignedAgentSvid> {
  const evidence = await attestor.begin();
  if (evidence.payload.length === 0) throw new FinialError('internal', 'plugin response missing attestation payload');
  const call = channel.bidi(agentService(), 'AttestAgent', { signal });
  await call.send({ params: { data: { type: attestor.type, payload: evidence.payload }, params: { csr } } });
  for await (const { challenge, result } of call.responses) {
    if (result) {
      const chain = result.svid?.cert_chain ?? [];
      if (chain.length === 0) throw new FinialError('internal', 'the server attested this agent but sent no SVID');
      call.end();
      return { chain, reattestable: result.reattestable };
    }
    const response = await evidence.respond(challenge ?? Buffer.alloc(0));
    if (response.length === 0) throw new FinialError('internal', 'plugin response missing challenge response');
    await call.send({ challenge_response: response });
  }
  throw new FinialError('internal', 'the server ended the attestation without a result');
}
