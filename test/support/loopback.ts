import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type net from 'node:net';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { afterEach } from 'vitest';
import { certificatesToPem } from '../../spiffe/x509/pem.ts';
import type { X509Svid } from '../../client/source.ts';
import type { TestCertificate } from './pki.ts';

const open: (() => unknown)[] = [];

/** Ends something when the test is over, newest first. */
export function endAfterTest(end: () => unknown): void {
  open.push(end);
}

afterEach(async () => {
  for (const end of open.splice(0).toReversed()) await end();
});

/** Serves on the loopback interface until the test is over, with all connections ended then. @returns the port */
export async function listening(server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  endAfterTest(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

/** What any TLS library would be given to present a chain. */
export function pemOf(chain: readonly TestCertificate[] | X509Svid): { readonly cert: string; readonly key: string } {
  const [ders, key] =
    'privateKey' in chain ? [chain.chain, chain.privateKey] : [chain.map(({ der }) => der), chain[0]?.key.privateKey];
  if (key === undefined) throw new Error('a chain has a leaf');
  return { cert: certificatesToPem(ders), key: key.export({ type: 'pkcs8', format: 'pem' }) as string };
}

/** A server that verifies nothing and greets everybody. */
export interface ForeignServer {
  readonly server: tls.Server;
  readonly port: number;
  /** Bytes of applications that it got to read. */
  readonly read: string[];
  /** How many TCP connections came. */
  readonly connections: () => number;
}

/** Presents any chain, also a broken one, the leaf first. */
export async function foreignServer(
  chain: readonly TestCertificate[],
  options: tls.TlsOptions = {},
): Promise<ForeignServer> {
  const read: string[] = [];
  let connections = 0;
  const server = tls.createServer({ ...pemOf(chain), ...options }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (part) => read.push(String(part)));
    socket.write('hello');
  });
  server.on('tlsClientError', () => undefined);
  server.on('connection', () => (connections += 1));
  return { server, port: await listening(server), read, connections: () => connections };
}

/** How a program ended, and what it wrote. */
export interface Ended {
  readonly status: number | null;
  readonly output: string;
}

/** Runs the openssl command while this process goes on, as its other end; `input` is sent, and then the end of input. */
export async function opensslPeer(args: readonly string[], input?: string): Promise<Ended> {
  const child = spawn('openssl', args, { stdio: 'pipe', timeout: 10_000 });
  endAfterTest(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (part) => (output += String(part)));
  child.stderr.on('data', (part) => (output += String(part)));
  child.stdin.on('error', () => undefined);
  if (input !== undefined) child.stdin.end(input);
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, output };
}
