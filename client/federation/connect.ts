import net from 'node:net';
import tls from 'node:tls';
import { FinialError, messageOf } from '../../common/errors.ts';
import { trustDomainOf } from '../../spiffe/id.ts';
import { authorizeId } from '../authorize.ts';
import type { X509BundleProvider, X509Svid } from '../source.ts';
import { connectTls } from '../tls/connect.ts';
import { contextOptions } from '../tls/context.ts';
import { cancelled } from './deadline.ts';
import type { CheckedEndpoint, SpiffeProfile, WebProfile } from './endpoint.ts';

/** What bounds a connection, and when it is. */
export interface ConnectLimits {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/**
 * A connection to the host of `url`, which has proved to be the endpoint. Nothing is presented to it: endpoints ask for
 * no client authentication (SPIFFE Federation 5.2.1.3, 5.2.2.3).
 *
 * @throws FinialError `unauthenticated`, `permission-denied` for another SPIFFE ID, `failed-precondition` when nothing
 *   is known that could verify it, `unavailable`, `deadline-exceeded`, `cancelled`
 */
export async function connectEndpoint(
  url: URL,
  profile: CheckedEndpoint['profile'],
  limits: ConnectLimits,
): Promise<tls.TLSSocket> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const target = {
    host,
    port: url.port === '' ? 443 : Number(url.port),
    ...(net.isIP(host) === 0 ? { servername: host } : {}),
  };
  if (profile.type === 'https_web') return connectWeb(target, profile, limits.signal);
  const trustDomain = trustDomainOf(profile.endpointId);
  const x509Bundles = bundlesOf(profile);
  // Checked here, for a better word than that of a failed handshake (SPIFFE Federation 5.2.2.2).
  if (x509Bundles.get(trustDomain) === undefined) {
    throw new FinialError('failed-precondition', `no bundle of ${trustDomain}, the trust domain of the endpoint`);
  }
  const source = {
    x509Bundles,
    get svid(): X509Svid {
      throw new FinialError('internal', 'a bundle endpoint asked for a client certificate');
    },
  };
  const { socket } = await connectTls(source, {
    ...{ ...target, ...limits, present: 'none' },
    authorize: authorizeId(profile.endpointId),
  });
  return socket;
}

function bundlesOf({ bundles }: Pick<SpiffeProfile, 'bundles'>): X509BundleProvider['x509Bundles'] {
  if ('x509Bundles' in bundles) return bundles.x509Bundles;
  return new Map([[bundles.trustDomain, bundles.x509Authorities.map(({ certificate }) => certificate)]]);
}

interface Target {
  readonly host: string;
  readonly port: number;
  readonly servername?: string;
}

/** SPIFFE Federation 5.2.1.4: a trusted authority and a matching name, as Node checks them (RFC 6125, 9525). */
function connectWeb(target: Target, { ca }: WebProfile, signal: AbortSignal): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const given = ca === undefined ? {} : { ca: [ca].flat() };
    // Said outright, as an environment variable of Node changes what holds without it.
    const socket = tls.connect({ ...target, ...contextOptions(undefined), ...given, rejectUnauthorized: true });
    const settle = (error?: FinialError): void => {
      signal.removeEventListener('abort', abort);
      socket.off('error', fail).off('close', closed);
      if (error === undefined) return resolve(socket);
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    };
    const abort = (): void => settle(cancelled(signal));
    const fail = (error: Error): void => settle(webError(error));
    const closed = (): void => settle(new FinialError('unavailable', 'the server closed the connection'));
    socket.once('error', fail).once('close', closed);
    socket.once('secureConnect', () => settle());
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
  });
}

/** Errors of the network are called ECONNREFUSED and the like; all others are about the certificate or the protocol. */
function webError(error: Error): FinialError {
  const code = 'code' in error ? String(error.code) : '';
  const kind = /^E[A-Z]+$/.test(code) ? 'unavailable' : 'unauthenticated';
  return new FinialError(kind, `TLS connection failed: ${messageOf(error)}`, { cause: error });
}
