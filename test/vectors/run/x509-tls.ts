import { once } from 'node:events';
import type net from 'node:net';
import tls from 'node:tls';
import { type Authorize, authorizeAny, authorizeTrustDomain } from '../../../client/authorize.ts';
import type { X509Svid } from '../../../client/source.ts';
import { connectTls } from '../../../client/tls/connect.ts';
import { peerIdOf } from '../../../client/tls/peer.ts';
import { createTlsServer } from '../../../client/tls/server.ts';
import { parseTrustDomain, type TrustDomain } from '../../../spiffe/trust-domain.ts';
import { listening, pemOf } from '../../support/loopback.ts';
import type { TestCertificate } from '../../support/pki.ts';
import { testSource, todaysCa } from '../../support/tls-source.ts';

/** One end of a connection. Each trust domain has one CA. */
interface End {
  readonly id: string;
  /** Trust domains that it has bundles of; those of both ends unless said. */
  readonly bundles?: readonly string[];
  readonly dnsNames?: readonly string[];
  /** The trust domain whose members it admits; anybody unless said. */
  readonly authorizes?: string;
}

/** A real TLS connection. OpenSSL goes by the time of the machine, and so do these certificates. */
export interface TlsInput {
  readonly server: End;
  readonly client: End;
  /** Whom the client believes to connect to. */
  readonly servername?: string;
  /** A second connection with the session of the first, after the server has lost the bundle of `withdrawn`. */
  readonly resume?: { readonly version: tls.SecureVersion; readonly withdrawn?: string };
}

interface TlsSource {
  readonly svid: X509Svid;
  readonly x509Bundles: Map<TrustDomain, readonly Buffer[]>;
}

/** @returns whom each end verified the other to be @throws what either end refuses the connection with */
export async function runTls({ server, client, servername, resume }: TlsInput): Promise<object> {
  const cas = new Map<TrustDomain, TestCertificate>();
  const [serverSource, clientSource] = [sourceOf(server, [server, client], cas), sourceOf(client, [server, client], cas)];
  const { listener, nextPeer } = verdictsOf(serverSource, authorizeOf(server));
  const port = await listening(listener);
  if (resume === undefined) {
    const options = { host: '127.0.0.1', port, authorize: authorizeOf(client), ...(servername && { servername }) };
    const [clientId, { socket, peerId }] = await Promise.all([nextPeer(), connectTls(clientSource, options)]);
    socket.destroy();
    return { client: clientId, server: peerId };
  }
  const first = await connectAgain(port, clientSource, resume.version, nextPeer);
  if (resume.withdrawn !== undefined) serverSource.x509Bundles.delete(parseTrustDomain(resume.withdrawn));
  const second = await connectAgain(port, clientSource, resume.version, nextPeer, first.session);
  return { client: second.clientId, resumed: second.resumed };
}

function sourceOf(end: End, ends: readonly End[], cas: Map<TrustDomain, TestCertificate>): TlsSource {
  const caOf = (trustDomain: TrustDomain): TestCertificate => {
    const ca = cas.get(trustDomain) ?? todaysCa(undefined, { subject: trustDomain });
    cas.set(trustDomain, ca);
    return ca;
  };
  const names = (end.dnsNames ?? []).map((name) => [2, name] as const);
  const { svid } = testSource(end.id, caOf(parseTrustDomain(end.id)), {}, { names: [[6, end.id], ...names] });
  const domains = (end.bundles ?? ends.map(({ id }) => id)).map((one) => parseTrustDomain(one));
  return { svid, x509Bundles: new Map(domains.map((one) => [one, [caOf(one).der]])) };
}

const authorizeOf = ({ authorizes }: End): Authorize =>
  authorizes === undefined ? authorizeAny : authorizeTrustDomain(authorizes);

/** A server, and what it makes of the next client. It greets those that it admits. */
function verdictsOf(
  source: TlsSource,
  authorize: Authorize,
): { readonly listener: net.Server; readonly nextPeer: () => Promise<string> } {
  let settle: { admit(id: string): void; refuse(error: Error): void } | undefined;
  const onRefused = (error: Error): void => settle?.refuse(error);
  const listener = createTlsServer(source, { authorize, onRefused }, (socket) => {
    socket.write('hello');
    settle?.admit(peerIdOf(socket));
  });
  const nextPeer = (): Promise<string> =>
    new Promise((admit, refuse) => {
      settle = { admit, refuse };
    });
  return { listener, nextPeer };
}

/** As a client that would resume whatever it can, and believes anybody. */
async function connectAgain(
  port: number,
  { svid }: TlsSource,
  version: tls.SecureVersion,
  nextPeer: () => Promise<string>,
  session?: Buffer,
): Promise<{ readonly clientId: string; readonly resumed: boolean; readonly session: Buffer }> {
  const peer = nextPeer();
  const options = { ...pemOf(svid), rejectUnauthorized: false, minVersion: version, maxVersion: version };
  const socket = tls.connect({ host: '127.0.0.1', port, ...options, ...(session && { session }) });
  socket.on('error', () => undefined);
  const [clientId] = await Promise.all([peer, once(socket, 'data')]);
  const kept = socket.getSession();
  if (kept === undefined) throw new Error('the client got no session to resume');
  const resumed = socket.isSessionReused();
  socket.destroy();
  return { clientId, resumed, session: kept };
}
