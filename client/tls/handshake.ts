import net from 'node:net';
import tls from 'node:tls';
import { FinialError, messageOf } from '../../common/errors.ts';

/** Where a client connects to, and how long that may take. */
export interface TlsTarget {
  /** A host name or an address; `localhost` unless said otherwise. */
  readonly host?: string;
  readonly port?: number;
  /** A Unix socket instead of host and port. */
  readonly path?: string;
  /** A connection that is already there. */
  readonly socket?: net.Socket;
  /** Sent for routing (SNI); the host unless said otherwise, and never an address. Empty: nothing is sent. */
  readonly servername?: string;
  /** Protocols to offer, such as `h2`. */
  readonly alpn?: readonly string[];
  readonly signal?: AbortSignal;
  /** For connection and handshake together; 10 seconds unless said otherwise. */
  readonly timeoutMs?: number;
}

/** How the server is judged. Never without: the default of Node can be changed by an environment variable. */
export interface TlsJudgement {
  readonly secureContext: tls.SecureContext;
  readonly rejectUnauthorized: true;
  readonly checkServerIdentity: NonNullable<tls.ConnectionOptions['checkServerIdentity']>;
}

/** How long connecting may take, unless said otherwise. */
export const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Opens one TLS connection, and hands it out once the server was judged: nobody can write to it before.
 *
 * @param timeoutMs what is left of the time allowed
 * @param onPresented sees the socket when the server has shown its certificate, before any verdict
 * @throws FinialError what `checkServerIdentity` said, if one; `unauthenticated` for the verdicts of OpenSSL, else
 * `unavailable`, `deadline-exceeded` or `cancelled`
 */
export function openTls(
  target: TlsTarget,
  judgement: TlsJudgement,
  timeoutMs: number,
  onPresented: (socket: tls.TLSSocket) => void = () => undefined,
): Promise<tls.TLSSocket> {
  const { signal } = target;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(cancelled(signal));
    const socket = tls.connect({ ...addressOf(target), ...judgement });
    const stopWaiting = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.removeListener('close', closed).removeListener('secureConnect', open).removeListener('error', fail);
    };
    const fail = (error: Error): void => {
      stopWaiting();
      // What still comes from a connection that nobody gets to see concerns nobody.
      socket.on('error', () => undefined);
      socket.destroy();
      reject(connectionError(error));
    };
    const abort = (): void => fail(cancelled(signal));
    const closed = (): void => fail(new FinialError('unavailable', 'the server closed the connection'));
    const open = (): void => {
      stopWaiting();
      // An error is followed by `close`, which is how the owner hears of it; a peer's reset must not end the process.
      socket.on('error', () => undefined);
      resolve(socket);
    };
    const late = (): void => fail(new FinialError('deadline-exceeded', 'no TLS connection within the time allowed'));
    const timer = setTimeout(late, Math.max(0, timeoutMs));
    signal?.addEventListener('abort', abort, { once: true });
    socket.once('error', fail).once('close', closed).once('secureConnect', open);
    // Node listens for this event itself to reach its verdict; were it gone one day, only error messages would suffer.
    socket.prependOnceListener('secure', () => onPresented(socket));
  });
}

let keys = 0;

/**
 * What keeps connections of options that are handed to others apart from those of anybody else. An agent of node:https
 * that serves several shares connections by the options that it knows, and in Node 20 neither context nor judgement are
 * among them: a server that one authorizer admitted would be sent the requests of another. It resumes sessions too, which are then
 * not judged at all.
 */
export function keptApart(): Pick<tls.ConnectionOptions, 'session' | 'sessionIdContext'> {
  keys += 1;
  return {
    // Part of what agents go by, and without an effect on a client.
    sessionIdContext: `finial ${keys}`,
    // Said outright, or the agent puts in what it has.
    session: undefined,
  };
}

function addressOf({ host, port, path, socket, servername, alpn }: TlsTarget): tls.ConnectionOptions {
  const name = servername ?? (socket === undefined && path === undefined ? host : undefined) ?? '';
  return {
    ...(socket !== undefined
      ? { socket }
      : path !== undefined
        ? { path }
        : { host: host ?? 'localhost', port, noDelay: true }),
    // RFC 6066 3: addresses are no names.
    ...(name === '' || net.isIP(name) !== 0 ? {} : { servername: name }),
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
  };
}

/** Codes of the system and of the resolver; those of Node itself begin with ERR_, verdicts of OpenSSL are words. */
const NETWORK = /^(E(?!RR_|PROTO$)[A-Z0-9_]+|ERR_SOCKET_\w+)$/;

function connectionError(error: Error): FinialError {
  if (error instanceof FinialError) return error;
  const code = 'code' in error ? String(error.code) : '';
  // Several addresses that failed are one error without a message.
  const why = error.message === '' ? code : messageOf(error);
  return new FinialError(NETWORK.test(code) ? 'unavailable' : 'unauthenticated', `TLS connection failed: ${why}`, {
    cause: error,
  });
}

function cancelled(signal: AbortSignal | undefined): FinialError {
  return new FinialError('cancelled', 'the connection attempt was given up', { cause: signal?.reason });
}
