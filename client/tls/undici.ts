import type tls from 'node:tls';
import { FinialError, toFinialError } from '../../common/errors.ts';
import { type ClientSource, connectTls, type TlsClientOptions } from './connect.ts';
import type { TlsTarget } from './handshake.ts';

/** What undici asks a connector for. */
export interface UndiciConnectRequest {
  readonly hostname: string;
  readonly port: string | number;
  readonly protocol: string;
  readonly servername?: string | null;
}

/** Called once, with the one or the other. */
export type UndiciConnected = (...outcome: [error: null, socket: tls.TLSSocket] | [error: Error, socket: null]) => void;

/** How undici is connected. */
export type UndiciOptions = TlsClientOptions &
  Pick<TlsTarget, 'timeoutMs'> & {
    /** Offers HTTP/2 too; undici speaks it if its own `allowH2` is set as well. */
    readonly allowH2?: boolean;
  };

/**
 * A connector for undici: `new Agent({ connect: undiciConnect(source, { authorize }) })`. Plain http is refused.
 */
export function undiciConnect(
  source: ClientSource,
  options: UndiciOptions,
): (request: UndiciConnectRequest, connected: UndiciConnected) => void {
  const { allowH2 = false } = options;
  return ({ hostname, port, protocol, servername }, connected) => {
    if (protocol !== 'https:') {
      connected(new FinialError('invalid-argument', `only https: is spoken here, not ${protocol}`), null);
      return;
    }
    const target = {
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port) || 443,
      ...(typeof servername === 'string' && servername !== '' ? { servername } : {}),
      alpn: allowH2 ? ['h2', 'http/1.1'] : ['http/1.1'],
    };
    connectTls(source, { ...options, ...target }).then(
      ({ socket }) => connected(null, socket),
      (error: unknown) => connected(toFinialError(error), null),
    );
  };
}

/** What of undici is used; the package is loaded on first use, if the application has it. */
interface Undici {
  readonly Agent: new (options: {
    readonly connect: ReturnType<typeof undiciConnect>;
    readonly allowH2: boolean;
  }) => { close(): Promise<void> };
  readonly fetch: (input: string | URL, init?: object) => Promise<Response>;
}

/** A `fetch` of its own connections. */
export interface SpiffeFetch {
  (input: string | URL, init?: RequestInit): Promise<Response>;
  /** Ends the connections that are kept alive. */
  close(): Promise<void>;
}

/**
 * A `fetch` that presents the current X509-SVID and speaks to verified, authorized servers only. Needs the package
 * `undici` beside this one, since the `fetch` inside Node takes no connections from outside.
 *
 * @throws FinialError `failed-precondition` when undici is not installed
 */
export async function createFetch(source: ClientSource, options: UndiciOptions): Promise<SpiffeFetch> {
  const undici = await loadUndici();
  const dispatcher = new undici.Agent({ connect: undiciConnect(source, options), allowH2: options.allowH2 ?? false });
  const spiffeFetch = (input: string | URL, init: RequestInit = {}): Promise<Response> =>
    undici.fetch(input, { ...init, dispatcher });
  return Object.assign(spiffeFetch, { close: () => dispatcher.close() });
}

async function loadUndici(): Promise<Undici> {
  try {
    return await import('undici');
  } catch (cause) {
    throw new FinialError('failed-precondition', 'createFetch needs the package undici: npm install undici@7', {
      cause,
    });
  }
}
