import { FinialError } from '../../../common/errors.ts';
import type { Interceptor } from '../../../common/rpc/call.ts';

const HEADER = 'workload.spiffe.io';

/**
 * Refuses calls of the Workload API without the header that keeps out whoever can be made to send requests but not to
 * choose their headers (SPIFFE Workload Endpoint 3). Other services on the socket do not ask for it.
 */
export const requireSecurityHeader: Interceptor = async ({ method, metadata }) => {
  if (!method.startsWith('/SpiffeWorkloadAPI/')) return undefined;
  const values = metadata.get(HEADER) ?? [];
  if (values.length !== 1 || values[0] !== 'true') {
    throw new FinialError('invalid-argument', 'security header missing from request');
  }
  return undefined;
};
