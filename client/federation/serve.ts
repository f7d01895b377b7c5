import { once } from 'node:events';
import type https from 'node:https';
import { FinialError, messageOf } from '../../common/errors.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { authorizeAny } from '../authorize.ts';
import type { X509SvidProvider } from '../source.ts';
import type { Certificate } from '../tls/context.ts';
import { createHttpsServer } from '../tls/https.ts';
import type { TlsServerOptions } from '../tls/server.ts';
import { bundleHandler, type BundleHandlerOptions, type RequestHandler } from './handler.ts';

/** How the endpoint proves who it is; exactly one profile, as clients try no other. */
export type ServedProfile =
  /** By its X509-SVID; the newest one is presented to each client. */
  | { readonly type: 'https_spiffe'; readonly source: Pick<X509SvidProvider, 'svid'> }
  /** By a certificate of a web authority for the host in its URL, PEM. Asked for each connection; may change. */
  | { readonly type: 'https_web'; readonly certificate: () => Certificate };

/** Where a bundle is served, and how. */
export interface ServeBundleOptions extends BundleHandlerOptions {
  readonly profile: ServedProfile;
  /** The address to listen at; all of them when absent. */
  readonly host?: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Answers in place of the bundle, such as `bundleRedirect`. */
  readonly handler?: RequestHandler;
}

/** An endpoint that is up. */
export interface BundleServer extends AsyncDisposable {
  readonly port: number;
  /** Takes no more clients and breaks off those that are connected, as the reference does. */
  close(): Promise<void>;
}

/** A client that takes longer to say what it wants is dropped. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;

/**
 * Serves a bundle over HTTPS to whoever asks (SPIFFE Federation 5): TLS 1.2 and 1.3 with Mozilla's "intermediate"
 * ciphers, and no client authentication.
 *
 * @param bundle the bundle of this moment; asked for each request
 * @throws FinialError `failed-precondition` when the address cannot be listened at; whatever the profile throws when it
 *   has nothing to present
 */
export async function serveBundle(
  bundle: () => Bundle | Promise<Bundle>,
  options: ServeBundleOptions,
): Promise<BundleServer> {
  const { profile, host, port, handler = bundleHandler(bundle, options), onError } = options;
  const tls: TlsServerOptions = {
    ...{ authorize: authorizeAny, clientAuthentication: 'none' },
    ...(profile.type === 'https_web' ? { certificate: profile.certificate } : {}),
    ...(onError === undefined ? {} : { onRefused: onError }),
  };
  const http = { headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS };
  const server = createHttpsServer(sourceOf(profile), { ...tls, http }, handler);
  const bound = await listen(server, port, host);
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return { port: bound, close, [Symbol.asyncDispose]: close };
}

/** Nobody's certificate is verified here, so no bundle is ever asked for. */
function sourceOf(profile: ServedProfile) {
  return {
    x509Bundles: new Map(),
    get svid() {
      if (profile.type === 'https_spiffe') return profile.source.svid;
      throw new FinialError('internal', 'an https_web endpoint presents no X509-SVID');
    },
  };
}

async function listen(server: https.Server, port: number, host: string | undefined): Promise<number> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    throw new FinialError('failed-precondition', `cannot serve the bundle: ${messageOf(cause)}`, { cause });
  }
  const address = server.address();
  return address === null || typeof address === 'string' ? port : address.port;
}
