import { setMaxListeners } from 'node:events';
import type { RequestListener } from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type tls from 'node:tls';
import { FinialError, toFinialError } from '../../common/errors.ts';
import { type ClientSource, connectTls, type TlsClientOptions } from './connect.ts';
import type { TlsTarget } from './handshake.ts';
import { admitOnlyVerified, type ServerSource, type TlsServerOptions, tlsServerOptions } from './server.ts';
import { connectWebTls, type WebClientSource, type WebTlsClientOptions } from './web.ts';

/** Options of `https.createServer` beside those of TLS. */
export type HttpsServerOptions = TlsServerOptions & { readonly http?: Omit<https.ServerOptions, keyof tls.TlsOptions> };

/**
 * An HTTPS server for verified, authorized clients; `peerIdOf(request)` names the caller.
 *
 * Fastify takes it as `serverFactory: (handler) => createHttpsServer(source, options, handler)`, the node-server of Hono as
 * `createServer: (_options, listener) => createHttpsServer(source, options, listener)`.
 *
 * @param listener a function of request and response, or an application of Express or its like
 * @throws FinialError when there is no identity to present
 */
export function createHttpsServer(
  source: ServerSource,
  options: HttpsServerOptions,
  listener?: RequestListener,
): https.Server {
  const server = https.createServer({ ...options.http, ...tlsServerOptions(source, options) }, listener);
  return admitOnlyVerified(server, source, options);
}

type AgentOptions = Omit<https.AgentOptions, 'maxCachedSessions' | keyof tls.SecureContextOptions>;

/**
 * An agent for `https.request` and everything built on it. Each new connection presents the X509-SVID of that moment;
 * connections that are kept alive live on through rotations. Nothing is shared with other agents, and what a request says
 * about TLS has no effect.
 *
 *     https.get('https://shop:8443/', { agent: httpsAgent(source, { authorize }) }, (response) => { ... });
 */
export function httpsAgent(
  source: ClientSource,
  options: TlsClientOptions & Pick<TlsTarget, 'timeoutMs'>,
  more: AgentOptions = {},
): https.Agent {
  return new SpiffeAgent(async (target) => (await connectTls(source, { ...target, ...options })).socket, more);
}

/** As `httpsAgent`, for servers of the web: judged by public authorities and host names, while we present an X509-SVID. */
export function webHttpsAgent(
  source: WebClientSource,
  options: WebTlsClientOptions & Pick<TlsTarget, 'timeoutMs'> = {},
  more: AgentOptions = {},
): https.Agent {
  return new SpiffeAgent((target) => connectWebTls(source, { ...target, ...options }), more);
}

/** A class, as node:https asks its agents for connections by a method. */
class SpiffeAgent extends https.Agent {
  readonly #connect: (target: TlsTarget) => Promise<tls.TLSSocket>;
  #stop = stopper();

  constructor(connect: (target: TlsTarget) => Promise<tls.TLSSocket>, more: AgentOptions) {
    // No sessions are kept: a resumed one would not show who is there.
    super({ ...more, maxCachedSessions: 0 });
    this.#connect = connect;
  }

  override createConnection(
    { host, port, servername, socketPath }: https.RequestOptions,
    connected: (error: Error | null, socket: Duplex) => void = () => undefined,
  ): undefined {
    const target = {
      ...(typeof socketPath === 'string' ? { path: socketPath } : { host: host ?? 'localhost', port: Number(port) }),
      ...(servername === undefined ? {} : { servername }),
    };
    this.#connect({ ...target, signal: this.#stop.signal }).then(
      (socket) => connected(null, socket),
      // With an error no socket is looked at, whatever the types say.
      (error: unknown) => connected(toFinialError(error), undefined as unknown as Duplex),
    );
    return undefined;
  }

  /** Gives up connections that are being made as well. */
  override destroy(): void {
    this.#stop.abort(new FinialError('cancelled', 'the agent was destroyed'));
    // As with any agent of Node, requests may go on to be made.
    this.#stop = stopper();
    super.destroy();
  }
}

/** Every connection under way listens to it, which is no leak. */
function stopper(): AbortController {
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  return stop;
}
