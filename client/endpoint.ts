import { isIP } from 'node:net';
import { FinialError } from '../common/errors.ts';

/** The environment variable with the address of the Workload API (SPIFFE Workload Endpoint 4). */
export const ENDPOINT_VARIABLE = 'SPIFFE_ENDPOINT_SOCKET';

/** Where a Workload API listens. An IPv6 host stands without brackets. */
export type WorkloadEndpoint =
  | { readonly transport: 'unix'; readonly path: string }
  | { readonly transport: 'tcp'; readonly host: string; readonly port: number };

/** What an address may hold beyond the rules of the Workload API. */
export interface EndpointRules {
  /** Whether the host may be a DNS name: so for brokers, which prove who they are (SPIFFE Broker Endpoint 4). */
  readonly hostNames?: boolean;
}

/**
 * The address to use: the one given, else that of the environment (SPIFFE Workload Endpoint 4).
 *
 * @throws FinialError `invalid-argument` when there is neither, or it breaks a rule of the standard
 */
export function workloadEndpoint(
  address: string | undefined,
  env: Readonly<Record<string, string | undefined>> = process.env,
): WorkloadEndpoint {
  const text = address ?? env[ENDPOINT_VARIABLE];
  if (text === undefined || text === '') {
    throw new FinialError('invalid-argument', `no Workload API address: pass one or set ${ENDPOINT_VARIABLE}`);
  }
  return parseEndpoint(text);
}

/**
 * Reads `unix:///path`, `unix:/path` or `tcp://IP:port`. By hand, as `new URL` repairs what the standard forbids: it
 * drops an empty query and an empty user, and trims blanks.
 *
 * @throws FinialError `invalid-argument` that names the broken rule of SPIFFE Workload Endpoint 4
 */
export function parseEndpoint(address: string, rules: EndpointRules = {}): WorkloadEndpoint {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(address)?.[1]?.toLowerCase();
  if (scheme === undefined) throw broken(address, 'is not a URI: it has no scheme');
  if (scheme === 'npipe')
    throw broken(address, 'must have the scheme unix or tcp: named pipes (npipe) are not supported');
  if (scheme !== 'unix' && scheme !== 'tcp') throw broken(address, 'must have the scheme unix or tcp');
  for (let index = 0; index < address.length; index += 1) {
    const code = address.charCodeAt(index);
    if (code <= 0x20 || code === 0x7f) throw broken(address, 'must hold no blanks or control characters');
  }
  const rest = address.slice(scheme.length + 1);
  if (rest.includes('?')) throw broken(address, 'must not have a query');
  if (rest.includes('#')) throw broken(address, 'must not have a fragment');
  return scheme === 'unix' ? unixEndpoint(address, rest) : tcpEndpoint(address, rest, rules);
}

function unixEndpoint(address: string, rest: string): WorkloadEndpoint {
  const authority = rest.startsWith('//') ? (/^\/\/([^/]*)/.exec(rest)?.[1] ?? '') : '';
  if (authority.includes('@')) throw broken(address, 'must not have user information');
  if (authority !== '') throw broken(address, `must not have an authority ("${authority}")`);
  const path = rest.startsWith('//') ? rest.slice(2) : rest;
  if (path === '') throw broken(address, 'must have a path');
  if (!path.startsWith('/')) throw broken(address, 'must have an absolute path');
  const decoded = decodePath(address, path);
  if (/^\/+$/.test(decoded)) throw broken(address, 'must name a socket, not the root folder');
  // The gRPC library would take what follows two slashes for an authority.
  return { transport: 'unix', path: decoded.replace(/^\/+/, '/') };
}

/** RFC 3986 2.1: a path with other characters is percent-encoded in a URI. */
function decodePath(address: string, path: string): string {
  try {
    const decoded = decodeURIComponent(path);
    if (!decoded.includes('\0')) return decoded;
  } catch {
    // Falls through to the same message: what stands there is no path.
  }
  throw broken(address, 'has a malformed percent-encoding in its path');
}

function tcpEndpoint(address: string, rest: string, { hostNames = false }: EndpointRules): WorkloadEndpoint {
  if (!rest.startsWith('//')) throw broken(address, 'must begin with tcp://');
  const [, authority = '', path = ''] = /^\/\/([^/]*)(.*)$/.exec(rest) ?? [];
  if (authority.includes('@')) throw broken(address, 'must not have user information');
  if (authority !== '' && path !== '') throw broken(address, 'must not have a path');
  const parts = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(authority);
  if (parts === null) throw broken(address, 'must have an IP address and a port');
  const [, bracketed, plain = '', port] = parts;
  const host = bracketed ?? plain;
  if (host === '') throw broken(address, 'must have a host');
  const isAddress = isIP(host) === (bracketed === undefined ? 4 : 6);
  const isName = hostNames && bracketed === undefined && isHostName(host);
  if (!isAddress && !isName) {
    throw broken(address, `must have an IP address ${hostNames ? 'or a DNS name ' : ''}as its host`);
  }
  if (port === undefined || port === '') throw broken(address, 'must have a port');
  if (!/^[0-9]{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    throw broken(address, 'must have a port from 1 to 65535');
  }
  return { transport: 'tcp', host, port: Number(port) };
}

/** RFC 1123 2.1. The last label of a name is never a number: what looks like an address must be one. */
function isHostName(host: string): boolean {
  const labels = host.split('.');
  const isLabel = (label: string): boolean => /^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$/.test(label);
  return host.length <= 253 && labels.every(isLabel) && !/^[0-9]+$/.test(labels.at(-1) ?? '');
}

function broken(address: string, rule: string): FinialError {
  return new FinialError('invalid-argument', `Workload API address ${rule} (${JSON.stringify(address.slice(0, 200))})`);
}
