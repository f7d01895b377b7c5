import { connectUnix } from '../../../common/rpc/client.ts';
import { loadService } from '../../../common/rpc/service.ts';
import type { BundleDefinition } from '../../../proto/gen/spire/api/server/bundle/v1/Bundle.ts';

/**
 * Asks this server for its bundle over its own admin socket, as a client would.
 *
 * @throws FinialError when it does not answer
 */
export async function fetchOwnBundle(socketPath: string, signal: AbortSignal): Promise<void> {
  const service = loadService<BundleDefinition>(
    'spire/api/server/bundle/v1/bundle.proto',
    'spire.api.server.bundle.v1.Bundle',
  );
  const channel = connectUnix(socketPath);
  try {
    await channel.call(service, 'GetBundle', {}, { signal });
  } finally {
    channel.close();
  }
}
