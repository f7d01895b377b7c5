import { FinialError } from '../../common/errors.ts';
import { connectUnix } from '../../common/rpc/client.ts';
import { workloadService } from '../../common/rpc/services.ts';

const TIMEOUT_MS = 5000;

/**
 * Calls the Workload API over its socket as a workload would, so that a health check sees what workloads see.
 *
 * @throws FinialError what the call failed with; `permission-denied` means that the API works and this process has no
 * identity
 */
export async function checkWorkloadApi(socketPath: string): Promise<void> {
  const channel = connectUnix(socketPath);
  try {
    const options = { metadata: { 'workload.spiffe.io': 'true' }, timeoutMs: TIMEOUT_MS };
    for await (const _bundles of channel.serverStream(workloadService(), 'FetchX509Bundles', {}, options)) return;
    throw new FinialError('unavailable', 'the Workload API ended the stream without an answer');
  } finally {
    channel.close();
  }
}
