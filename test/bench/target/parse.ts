import { isAbsolute } from 'node:path';
import { FinialError } from '../../../common/errors.ts';

/** Which programs are measured, by where they are or where they listen. */
export interface TargetAddress {
  readonly label: string;
  /** A folder with `spire-server` and `spire-agent`, which the bench starts itself. */
  readonly bin?: string;
  /** `host:port` of a server's agent-facing API. */
  readonly server?: string;
  /** A server's admin socket. */
  readonly admin?: string;
  /** An agent's Workload API socket. */
  readonly agent?: string;
  /** Sockets of either kind, to be asked which API they speak; see `reachTarget`. */
  readonly sockets?: readonly string[];
}

const NEEDS = 'needs bin=DIR, or server=HOST:PORT with admin=SOCKET, and agent=SOCKET for an agent';
const KEYS = ['bin', 'server', 'admin', 'agent', 'name'] as const;

/**
 * Reads `key=value,key=value`. A value alone is a server when it is `host:port`, a socket when it begins with `unix:` or
 * is one, and otherwise the folder of the programs.
 *
 * @param isSocket whether there is a socket at a path
 * @throws FinialError `invalid-argument` that names the part
 */
export function parseTarget(text: string, isSocket: (path: string) => boolean = () => false): TargetAddress {
  const found = new Map<string, string>();
  const sockets: string[] = [];
  for (const part of text.split(',').filter((one) => one !== '')) {
    const [key, value] = keyed(part, isSocket);
    if (value === '') throw invalid(`target ${text}: ${key} has no value`);
    if (key === 'socket') {
      sockets.push(value);
      continue;
    }
    if (found.has(key)) throw invalid(`target ${text}: ${key} is given twice`);
    found.set(key, value);
  }
  const [bin, server, admin, agent] = ['bin', 'server', 'admin', 'agent'].map((key) => found.get(key));
  if (server !== undefined && !/^.+:\d+$/.test(server)) throw invalid(`target ${text}: server is not host:port`);
  if (bin === undefined && (server ?? admin ?? agent ?? sockets[0]) === undefined)
    throw invalid(`target ${text}: ${NEEDS}`);
  if (bin === undefined && admin === undefined && sockets.length === 0) {
    throw invalid(`target ${text}: needs admin=SOCKET of the server, to make entries and join tokens`);
  }
  if (bin !== undefined && (server ?? admin ?? agent ?? sockets[0]) !== undefined) {
    throw invalid(`target ${text}: bin= starts programs itself, so no addresses go with it`);
  }
  return {
    label: found.get('name') ?? bin ?? server ?? agent ?? text,
    ...(bin !== undefined && { bin }),
    ...(server !== undefined && { server }),
    ...(admin !== undefined && { admin }),
    ...(agent !== undefined && { agent }),
    ...(sockets.length > 0 && { sockets }),
  };
}

function keyed(part: string, isSocket: (path: string) => boolean): readonly [key: string, value: string] {
  const at = part.indexOf('=');
  const value = part.slice(at + 1).replace(/^unix:(\/\/)?/, '');
  if (at === -1) {
    if (value !== part || isSocket(value)) return ['socket', value];
    return isAbsolute(part) || part.startsWith('.') || !part.includes(':') ? ['bin', part] : ['server', part];
  }
  const key = part.slice(0, at);
  if (!KEYS.some((one) => one === key)) throw invalid(`target: unknown key ${key}; known are ${KEYS.join(', ')}`);
  return [key, value];
}

function invalid(message: string): FinialError {
  return new FinialError('invalid-argument', message);
}
