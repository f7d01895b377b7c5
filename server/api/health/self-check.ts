import { connectUnix } from '../../../common/rpc/client.ts';
import { bundleService } from '../../../common/rpc/services.ts';

/**
 * Asks this server for its bundle over its own admin socket, as a client would.
 *
 * @throws FinialError when it does not answer
 */
export async function fetchOwnBundle(socketPath: string, signal: AbortSignal): Promise<void> {
  const channel = connectUnix(socketPath);
  try {
    await channel.call(bundleService(), 'GetBundle', {}, { signal });
  } finally {
    channel.close();
  }
}
