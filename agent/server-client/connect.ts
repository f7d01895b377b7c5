import { constants, type KeyObject } from 'node:crypto';
import tls from 'node:tls';
import { FinialError, messageOf, toFinialError, withContext } from '../../common/errors.ts';
import { presentedChain } from '../../common/net/presented-chain.ts';
import { connectTls, type RpcChannel } from '../../common/rpc/client.ts';
import { type SpiffeId, spiffeId } from '../../spiffe/id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate, spiffeIdOf } from '../../spiffe/x509/certificate.ts';
import { certificatesToPem, encodePem } from '../../spiffe/x509/pem.ts';

/** Where the server is, and who it has to be. */
export interface ServerTarget {
  /** `host:port`, an IPv6 address in brackets. */
  readonly address: string;
  readonly trustDomain: TrustDomain;
}

/** What the agent shows of itself. */
export interface ClientCertificate {
  /** DER, leaf first. */
  readonly chain: readonly Buffer[];
  readonly privateKey: KeyObject;
}

/** The ID that a server of the trust domain must present, and no other. */
export function serverIdOf(trustDomain: TrustDomain): SpiffeId {
  return spiffeId(trustDomain, '/spire/server');
}

/**
 * Connects to the server, which must prove to be `spiffe://<trust domain>/spire/server` under one of `roots`. Names and
 * addresses in its certificate mean nothing.
 *
 * @param roots DER; may be intermediates
 */
export function connectServer(
  target: ServerTarget,
  roots: readonly Buffer[],
  client: ClientCertificate | undefined,
): RpcChannel {
  const secureContext = tls.createSecureContext({
    // A list, since Node takes an empty text for "the public roots".
    ca: roots.map((der) => encodePem('CERTIFICATE', der)),
    minVersion: 'TLSv1.2',
    allowPartialTrustChain: true,
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    ...(client && {
      cert: certificatesToPem(client.chain),
      key: client.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    }),
  });
  return connectTls({
    address: target.address,
    secureContext,
    verifyServer: (leaf) => serverIdProblem(leaf, target.trustDomain),
  });
}

function serverIdProblem(leaf: Buffer, trustDomain: TrustDomain): Error | undefined {
  const expected = serverIdOf(trustDomain);
  try {
    const id = spiffeIdOf(parseCertificate(leaf));
    return id === expected ? undefined : new Error(`unexpected ID "${id}"; expected "${expected}"`);
  } catch (error) {
    return new Error(`server certificate is no X509-SVID; expected "${expected}": ${messageOf(error)}`);
  }
}

/** OpenSSL's words for a chain that does not lead to one of our roots. */
const UNTRUSTED =
  /unable to get (local )?issuer certificate|self[- ]signed certificate|unable to verify the first certificate|certificate signature failure/i;

/** OpenSSL's words for a certificate of the past or the future. */
const UNTIMELY = /certificate (is not yet valid|has expired)/;

/**
 * A failed call with the address that was called. A server that the bundle does not vouch for is said in the words that
 * scripts and the reference look for.
 */
export function serverError(address: string, thrown: unknown): FinialError {
  const error = toFinialError(thrown);
  if (error.code !== 'unavailable') return error;
  if (UNTRUSTED.test(error.message)) {
    const why = 'x509: certificate signed by unknown authority';
    const advice = 'the trust bundle of this agent is not the one of that server';
    return new FinialError('unavailable', `server at ${address} is not trusted: ${why}; ${advice}`, { cause: error });
  }
  const inContext = withContext(`cannot reach the server at ${address}`, error);
  if (!UNTIMELY.test(error.message)) return inContext;
  const advice = 'are the clocks of this machine and of the server right?';
  return new FinialError('unavailable', `${inContext.message}; ${advice}`, { cause: error });
}

const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * The certificates that whoever answers at the address presents, to be trusted from then on: insecure bootstrap. Only
 * the ID in the certificate is looked at, which anyone can make up.
 *
 * @throws FinialError `unavailable`
 */
export function presentedRoots(target: ServerTarget, signal: AbortSignal): Promise<readonly Buffer[]> {
  const at = target.address.lastIndexOf(':');
  const host = target.address.slice(0, at).replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = tls.connect({
      host,
      port: Number(target.address.slice(at + 1)),
      ALPNProtocols: ['h2'],
      minVersion: 'TLSv1.2',
      // The point of insecure bootstrap; nothing is sent over this connection.
      rejectUnauthorized: false,
    });
    const stop = (): void => fail('stopped');
    const fail = (why: string): void => {
      signal.removeEventListener('abort', stop);
      socket.destroy();
      reject(new FinialError('unavailable', `cannot reach the server at ${target.address}: ${why}`));
    };
    socket.setTimeout(HANDSHAKE_TIMEOUT_MS, () => fail('no answer'));
    signal.addEventListener('abort', stop, { once: true });
    socket.once('error', (error) => fail(error.message));
    socket.once('secureConnect', () => {
      try {
        const chain = presentedChain(socket.getPeerCertificate(true));
        const [leaf] = chain;
        if (leaf === undefined) return fail('it shows no certificate');
        const problem = serverIdProblem(leaf, target.trustDomain);
        if (problem !== undefined) return fail(problem.message);
        signal.removeEventListener('abort', stop);
        socket.destroy();
        resolve(chain);
      } catch (error) {
        fail(messageOf(error));
      }
    });
  });
}
