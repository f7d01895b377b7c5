import type { Clock } from '../common/clock.ts';
import type { Closable } from '../common/lifecycle.ts';
import type { Logger } from '../common/log/logger.ts';
import { listenTls, type TlsIdentity } from '../common/net/tls-listener.ts';
import { listenUnix } from '../common/net/unix-listener.ts';
import type { Observable } from '../common/observable.ts';
import type { Interceptor, PeerCertificate } from '../common/rpc/call.ts';
import { createRpcServer } from '../common/rpc/server.ts';
import type { ImplementedService } from '../common/rpc/service.ts';

/** Where the server listens, as whom, and what it serves. */
export interface EndpointsOptions {
  readonly bindAddress: string;
  /** 0 lets the system choose. */
  readonly bindPort: number;
  readonly socketPath: string;
  /** Whether callers of the admin socket are identified, as the audit log asks. */
  readonly trackCallers: boolean;
  readonly identity: Observable<TlsIdentity>;
  /** Judges a client's chain (DER, leaf first). @throws when it is not to be trusted */
  readonly verifyPeer: (chain: readonly Buffer[]) => PeerCertificate;
  readonly services: { readonly tcp: readonly ImplementedService[]; readonly local: readonly ImplementedService[] };
  readonly interceptors: readonly Interceptor[];
  readonly clock: Clock;
  readonly log: Logger;
}

/** Agents reconnect at least this often, so that they find new servers behind a name. */
const MAX_CONNECTION_AGE_MS = 3 * 60_000;
/** What an honest agent asks for takes seconds; a stream that is left open does not keep its connection for ever. */
const MAX_CONNECTION_AGE_GRACE_MS = 5 * 60_000;
const GRACE_MS = 10_000;

/**
 * Opens both listeners of the server: TCP with TLS for agents and remote administrators, and the admin socket, which only
 * the server's own user and group may open. Closing lets calls finish for up to 10 seconds.
 *
 * @throws FinialError when one of them cannot be opened; nothing is then left open
 */
export async function openEndpoints(options: EndpointsOptions): Promise<Closable & { readonly port: number }> {
  const { interceptors, log, services } = options;
  const remote = createRpcServer({
    services: services.tcp,
    interceptors,
    log,
    limits: {
      maxConnectionAgeMs: MAX_CONNECTION_AGE_MS,
      maxConnectionAgeGraceMs: MAX_CONNECTION_AGE_GRACE_MS,
    },
  });
  const local = createRpcServer({ services: services.local, interceptors, log });
  const tcp = await listenTls({
    host: options.bindAddress,
    port: options.bindPort,
    identity: options.identity,
    verifyPeer: options.verifyPeer,
    onSocket: (socket, peer) => remote.accept(socket, peer),
    log,
  });
  const uds = await listenUnix({
    path: options.socketPath,
    mode: 0o770,
    directoryMode: 0o750,
    track: options.trackCallers,
    onSocket: (socket, peer) => local.accept(socket, peer),
    clock: options.clock,
    log,
  }).catch(async (error: unknown) => {
    await tcp.close();
    throw error;
  });
  log.info('Starting Server APIs', { address: formatAddress(options.bindAddress, tcp.port), network: 'tcp' });
  log.info('Starting Server APIs', { address: options.socketPath, network: 'unix' });
  return {
    port: tcp.port,
    async close() {
      log.info('Stopping Server APIs');
      await Promise.all([remote.stop(GRACE_MS), local.stop(GRACE_MS)]);
      await Promise.all([tcp.close(), uds.close()]);
      log.info('Server APIs have stopped');
    },
  };
}

function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
