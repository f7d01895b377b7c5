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

/** As `createHttpsServer`, for HTTP/2; with `http2: { allowHTTP1: true }` for both. @throws FinialError as that */
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

/** Streams lead to their session, which still knows its peer when its socket is gone. */
function rememberSessions(server: http2.Http2SecureServer): void {
  server.prependListener('session', (session) => {
    const peer = verifiedPeer(session);
    // Without client authentication there is nothing to know.
    if (peer !== undefined) rememberPeer(session, peer);
  });
}

/**
 * Connects by HTTP/2 to a verified, authorized server.
 *
 * @param url its origin, `https://host:port`
 * @throws FinialError as connectTls, `failed-precondition` for a server without HTTP/2
 */
export async function connectHttp2(
  source: ClientSource,
  url: string | URL,
  options: Omit<ConnectOptions, 'host' | 'port' | 'alpn'>,
  more: http2.SecureClientSessionOptions = {},
): Promise<http2.ClientHttp2Session> {
  const { host, port } = originOf(url);
  const { socket } = await connectTls(source, { host, port, ...options, alpn: ['h2'] });
  if (socket.alpnProtocol !== 'h2') {
    socket.destroy();
    throw new FinialError('failed-precondition', 'the server does not speak HTTP/2');
  }
  const session = http2.connect(url, { ...more, createConnection: () => socket });
  rememberPeer(session, peerOf(socket));
  return session;
}

function originOf(url: string | URL): { readonly host: string; readonly port: number } {
  const { hostname, port, protocol } = new URL(url);
  if (protocol !== 'https:') throw new FinialError('invalid-argument', `URL must begin with https: (${protocol})`);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 443 : Number(port) };
}
