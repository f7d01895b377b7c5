import type { Clock } from '../common/clock.ts';
import type { Closable } from '../common/lifecycle.ts';
import type { Logger } from '../common/log/logger.ts';
import { listenUnix } from '../common/net/unix-listener.ts';
import type { Interceptor } from '../common/rpc/call.ts';
import { createRpcServer } from '../common/rpc/server.ts';
import type { ImplementedService } from '../common/rpc/service.ts';

/** Where workloads connect, and what they find there. */
export interface EndpointsOptions {
  readonly socketPath: string;
  readonly services: readonly ImplementedService[];
  readonly interceptors: readonly Interceptor[];
  readonly log: Logger;
  /** By which the socket file is looked after. */
  readonly clock?: Clock;
}

/**
 * Opens the public socket, which every process of the node may connect to: who a caller is comes from the kernel.
 * Closing ends streams with `unavailable`, so that clients come back.
 *
 * @throws FinialError when it cannot be opened
 */
export async function openEndpoints(options: EndpointsOptions): Promise<Closable> {
  const { clock, interceptors, log, services, socketPath } = options;
  const server = createRpcServer({ services, interceptors, log });
  const listener = await listenUnix({
    path: socketPath,
    mode: 0o777,
    directoryMode: 0o755,
    track: true,
    onSocket: (socket, peer) => server.accept(socket, peer),
    ...(clock && { clock }),
    log,
  });
  log.info('Starting agent APIs', { address: socketPath, apis: 'Workload API', network: 'unix' });
  return {
    async close() {
      await server.stop(0);
      await listener.close();
    },
  };
}
