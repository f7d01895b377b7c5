import http2 from 'node:http2';
import type tls from 'node:tls';
import { FinialError } from '../../common/errors.ts';
import { type ClientSource, connectTls, type ConnectOptions } from './connect.ts';
import { peerOf, rememberPeer, verifiedPeer } from './peer.ts';
import { admitOnlyVerified, type ServerSource, type TlsServerOptions, tlsServerOptions } from './server.ts';

/** Options of `http2.createSecureServer` beside those of TLS. */
export type Http2ServerOptions = TlsServerOptions & {
  readonly http2?: Omit<http2.SecureServerOptions, keyof tls.TlsOptions>;
};

/** As `createHttpsServer`, for HTTP/2; with `http2: { allowHTTP1: true }` for both. */
export function createHttp2Server(
  source: ServerSource,
  options: Http2ServerOptions,
  listener?: (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void,
): http2.Http2SecureServer {
  const protocols = options.http2?.allowHTTP1 === true ? ['h2', 'http/1.1'] : ['h2'];
  const server = http2.createSecureServer(
    { ...options.http2, ...tlsServerOptions(source, options), ALPNProtocols: protocols },
    listener,
  );
  rememberSessions(server);
  return admitOnlyVerified(server, source, options);
}

/** A session shows its socket only behind a proxy, so what is known of the socket is noted when the session begins. */
function rememberSessions(server: http2.Http2SecureServer): void {
  let socket: tls.TLSSocket | undefined;
  const [begin, ...others] = server.listeners('secureConnection') as ((socket: tls.TLSSocket) => void)[];
  if (begin === undefined || others.length > 0)
    throw new FinialError('internal', 'node:http2 does not take its connections in the known way');
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', (next: tls.TLSSocket) => {
    socket = next;
    begin.call(server, next);
    socket = undefined;
  });
  server.prependListener('session', (session) => {
    const peer = socket === undefined ? undefined : verifiedPeer(socket);
    // Without client authentication there is nothing to know.
    if (peer !== undefined) rememberPeer(session, peer);
  });
}

/**
 * Connects by HTTP/2 to a verified, authorized server.
 *
 * @param url its origin, `https://host:port`
 * @throws FinialError as connectTls
 */
export async function connectHttp2(
  source: ClientSource,
  url: string | URL,
  options: Omit<ConnectOptions, 'host' | 'port' | 'alpn'>,
  more: http2.SecureClientSessionOptions = {},
): Promise<http2.ClientHttp2Session> {
  const { host, port } = originOf(url);
  const { socket } = await connectTls(source, { host, port, ...options, alpn: ['h2'] });
  const session = http2.connect(url, { ...more, createConnection: () => socket });
  rememberPeer(session, peerOf(socket));
  return session;
}

function originOf(url: string | URL): { readonly host: string; readonly port: number } {
  const { hostname, port, protocol } = new URL(url);
  if (protocol !== 'https:') throw new FinialError('invalid-argument', `URL must begin with https: (${protocol})`);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 443 : Number(port) };
}
