import tls from 'node:tls';
import type { X509SvidProvider } from '../source.ts';
import { certificateOf, contextOptions, svidToPresent } from './context.ts';
import { CONNECT_TIMEOUT_MS, keptApart, openTls, type TlsTarget } from './handshake.ts';

/** How servers of the web are judged, by public authorities and host names, while we present an X509-SVID. */
export interface WebTlsClientOptions {
  /** PEM of the authorities that are trusted; those that Node comes with, unless said otherwise. */
  readonly roots?: string | readonly string[];
  /** Unix milliseconds. */
  readonly now?: () => number;
}

/** Where the identity comes from that is presented: an X509Source. */
export type WebClientSource = Pick<X509SvidProvider, 'svid'>;

/**
 * Connects to a server whose certificate is one of the web: verified by public authorities (or `roots`) and by its host
 * name, which is `servername` or else `host`. It is shown the current X509-SVID. It has no SPIFFE ID, so `peerIdOf`
 * throws.
 *
 * @throws FinialError as `connectTls`
 */
export async function connectWebTls(
  source: WebClientSource,
  options: WebTlsClientOptions & TlsTarget,
): Promise<tls.TLSSocket> {
  const judgement = {
    rejectUnauthorized: true as const,
    checkServerIdentity: tls.checkServerIdentity,
    secureContext: webContext(source, options),
  };
  return openTls(options, judgement, options.timeoutMs ?? CONNECT_TIMEOUT_MS);
}

/**
 * The same as options for `tls.connect`, `https.request` and the like. The identity is read for each connection, if the
 * object is handed on as it is.
 *
 * @throws FinialError when it is read and there is no identity
 */
export function webTlsClientOptions(source: WebClientSource, options: WebTlsClientOptions = {}): tls.ConnectionOptions {
  return {
    rejectUnauthorized: true,
    checkServerIdentity: tls.checkServerIdentity,
    get secureContext() {
      return webContext(source, options);
    },
    ...keptApart(),
  };
}

function webContext(source: WebClientSource, { roots, now = Date.now }: WebTlsClientOptions): tls.SecureContext {
  return tls.createSecureContext({
    ...contextOptions(certificateOf(svidToPresent(source, now()))),
    // An empty text would mean the public authorities to Node, an empty list means none.
    ...(roots === undefined ? {} : { ca: typeof roots === 'string' ? [roots] : [...roots] }),
  });
}
