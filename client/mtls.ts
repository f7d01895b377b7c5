import { constants } from 'node:crypto';
import tls from 'node:tls';
import { FinialError, toFinialError } from '../common/errors.ts';
import { presentedChain } from '../common/net/presented-chain.ts';
import type { SpiffeId } from '../spiffe/id.ts';
import { certificatesToPem, encodePem } from '../spiffe/x509/pem.ts';
import { verifyX509Svid } from '../spiffe/x509/verify.ts';
import type { Authorize } from './authorize.ts';
import type { X509Source } from './x509-source.ts';

/** A connection whose other end has proved to be `peerId`. */
export interface MtlsConnection {
  readonly socket: tls.TLSSocket;
  readonly peerId: SpiffeId;
}

/** Who is admitted, and who is told of connections. */
export interface MtlsServerOptions {
  readonly authorize: Authorize;
  onConnection(connection: MtlsConnection): void;
  /** Hears of each peer that was turned away, and why. */
  onRefused?(error: FinialError): void;
}

/** A TLS server that presents the source's current identity and admits only verified, authorized peers. */
export function createMtlsServer(source: X509Source, options: MtlsServerOptions): tls.Server {
  const server = tls.createServer({
    ...identityOf(source),
    ca: [],
    requestCert: true,
    // Verified below against the bundle of the peer's own trust domain; OpenSSL knows only one pool of roots.
    rejectUnauthorized: false,
  });
  const unsubscribe = source.onUpdate(() => server.setSecureContext({ ...identityOf(source), ca: [] }));
  server.on('close', unsubscribe);
  server.on('tlsClientError', (error) => options.onRefused?.(toFinialError(error)));
  server.on('secureConnection', (socket) => {
    socket.on('error', (error) => options.onRefused?.(toFinialError(error)));
    try {
      options.onConnection({
        socket,
        peerId: verifyPeer(source, options.authorize, presentedChain(socket.getPeerCertificate(true))),
      });
    } catch (error) {
      options.onRefused?.(toFinialError(error));
      socket.destroy();
    }
  });
  return server;
}

/** Connects, presenting the source's current identity, and resolves once the server has proved who it is. */
export function connectMtls(
  source: X509Source,
  options: { readonly host: string; readonly port: number; readonly authorize: Authorize },
): Promise<MtlsConnection> {
  const { host, port, authorize } = options;
  return new Promise((resolve, reject) => {
    let peerId: SpiffeId | undefined;
    const socket = tls.connect({
      host,
      port,
      ...identityOf(source),
      // OpenSSL checks the chain against all roots we hold; the callback then against those of the peer's own domain.
      // A list, since Node takes an empty text for "the public roots".
      ca: [...source.current.bundles.values()].flat().map((der) => encodePem('CERTIFICATE', der)),
      allowPartialTrustChain: true,
      checkServerIdentity: (_host, certificate) => {
        try {
          peerId = verifyPeer(source, authorize, presentedChain(certificate as tls.DetailedPeerCertificate));
          return undefined;
        } catch (error) {
          return toFinialError(error);
        }
      },
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.removeListener('error', reject);
      if (peerId !== undefined) return resolve({ socket, peerId });
      socket.destroy();
      reject(new FinialError('unauthenticated', 'the server was not verified'));
    });
  });
}

function verifyPeer(source: X509Source, authorize: Authorize, chain: readonly Buffer[]): SpiffeId {
  if (chain.length === 0) throw new FinialError('unauthenticated', 'peer presented no certificate');
  const { id } = verifyX509Svid(chain, (trustDomain) => source.current.bundles.get(trustDomain), Date.now());
  authorize(id);
  return id;
}

/** No tickets and no renegotiation: a resumed session would carry no chain to verify. */
function identityOf(source: X509Source): tls.SecureContextOptions {
  const { chain, privateKey } = source.svid;
  return {
    cert: certificatesToPem(chain),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}
