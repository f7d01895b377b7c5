import type { RequestListener } from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type tls from 'node:tls';
import { toFinialError } from '../../common/errors.ts';
import { type ClientSource, connectTls, type ConnectOptions, type TlsClientOptions } from './connect.ts';
import { admitOnlyVerified, type ServerSource, type TlsServerOptions, tlsServerOptions } from './server.ts';

/** Options of `https.createServer` beside those of TLS. */
export type HttpsServerOptions = TlsServerOptions & { readonly http?: Omit<https.ServerOptions, keyof tls.TlsOptions> };

/**
 * An HTTPS server for verified, authorized clients; `peerIdOf(request)` names the caller.
 *
 * @param listener a function of request and response, or an application of Express or its like
 */
export function createHttpsServer(
  source: ServerSource,
  options: HttpsServerOptions,
  listener?: RequestListener,
): https.Server {
  const server = https.createServer({ ...options.http, ...tlsServerOptions(source, options) }, listener);
  return admitOnlyVerified(server, source, options);
}

/**
 * An agent for `https.request` and everything built on it. Each new connection presents the X509-SVID of that moment;
 * connections that are kept alive live on through rotations. Nothing is shared with other agents.
 *
 *     https.get('https://shop:8443/', { agent: httpsAgent(source, { authorize }) }, (response) => { ... });
 */
export function httpsAgent(
  source: ClientSource,
  options: TlsClientOptions & Pick<ConnectOptions, 'timeoutMs'>,
  more: Omit<https.AgentOptions, 'maxCachedSessions' | keyof tls.SecureContextOptions> = {},
): https.Agent {
  return new SpiffeAgent(source, options, more);
}

/** A class, as node:https asks its agents for connections by a method. */
class SpiffeAgent extends https.Agent {
  readonly #source: ClientSource;
  readonly #options: TlsClientOptions & Pick<ConnectOptions, 'timeoutMs'>;

  constructor(
    source: ClientSource,
    options: TlsClientOptions & Pick<ConnectOptions, 'timeoutMs'>,
    more: https.AgentOptions,
  ) {
    // No sessions are kept: a resumed one would not show who is there.
    super({ ...more, maxCachedSessions: 0 });
    this.#source = source;
    this.#options = options;
  }

  override createConnection(
    { host, port, servername }: https.RequestOptions,
    connected: (error: Error | null, socket: Duplex) => void = () => undefined,
  ): undefined {
    const target = {
      host: host ?? 'localhost',
      port: Number(port),
      ...(servername === undefined || servername === '' ? {} : { servername }),
    };
    connectTls(this.#source, { ...target, ...this.#options }).then(
      ({ socket }) => connected(null, socket),
      // With an error no socket is looked at, whatever the types say.
      (error: unknown) => connected(toFinialError(error), undefined as unknown as Duplex),
    );
    return undefined;
  }
}
