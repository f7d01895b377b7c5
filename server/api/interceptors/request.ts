import { FinialError } from '../../../common/errors.ts';
import type { Logger } from '../../../common/log/logger.ts';
import type { Interceptor } from '../../../common/rpc/call.ts';
import { beginState, noAudit } from '../call-state.ts';
import { policyOf } from '../policy.ts';

/**
 * The first interceptor: gives the call an ID and a logger that names it, and looks up its policy.
 *
 * @param newRequestId a UUID
 */
export function identifyRequest(log: Logger, newRequestId: () => string): Interceptor {
  return async (call) => {
    const policy = policyOf(call.method);
    if (policy === undefined) throw new FinialError('internal', `no policy for method ${call.method}`);
    const [, service = '', method = ''] = call.method.split('/');
    beginState(call, {
      policy,
      log: log.with({ service: shortName(service), method, request_id: newRequestId() }),
      caller: { kind: 'anonymous', address: '', port: 0 },
      authorization: { as: 'nobody', via: '' },
      limit: async () => undefined,
      audit: noAudit,
    });
    return undefined;
  };
}

/** As the reference's log names services: `spire.api.server.agent.v1.Agent` is `agent.v1.Agent`. */
function shortName(service: string): string {
  return service.replace(/^spire\.api\.server\./, '');
}
