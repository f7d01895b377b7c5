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
}

const KEYS = ['bin', 'server', 'admin', 'agent', 'name'] as const;

/**
 * Reads `key=value,key=value`. A value alone is a server when it is `host:port`, and the folder of programs when it is a
 * path.
 *
 * @throws FinialError `invalid-argument` that names the part
 */
export function parseTarget(text: string): TargetAddress {
  const found = new Map<string, string>();
  for (const part of text.split(',').filter((one) => one !== '')) {
    const [key, value] = keyed(part);
    if (value === '') throw invalid(`target ${text}: ${key} has no value`);
    if (found.has(key)) throw invalid(`target ${text}: ${key} is given twice`);
    found.set(key, value.replace(/^unix:(\/\/)?/, ''));
  }
  const [bin, server, admin, agent] = ['bin', 'server', 'admin', 'agent'].map((key) => found.get(key));
  if (server !== undefined && !/^.+:\d+$/.test(server)) throw invalid(`target ${text}: server is not host:port`);
  if (bin === undefined && server === undefined && agent === undefined) {
    throw invalid(
      `target ${text}: needs bin=DIR, or server=HOST:PORT with admin=SOCKET, and agent=SOCKET for an agent`,
    );
  }
  if (bin === undefined && admin === undefined) {
    throw invalid(`target ${text}: needs admin=SOCKET of the server, to make entries and join tokens`);
  }
  if (bin !== undefined && (server ?? admin ?? agent) !== undefined) {
    throw invalid(`target ${text}: bin= starts programs itself, so no addresses go with it`);
  }
  return {
    label: found.get('name') ?? bin ?? server ?? agent ?? text,
    ...(bin !== undefined && { bin }),
    ...(server !== undefined && { server }),
    ...(admin !== undefined && { admin }),
    ...(agent !== undefined && { agent }),
  };
}

function keyed(part: string): readonly [key: string, value: string] {
  const at = part.indexOf('=');
  if (at === -1) return isAbsolute(part) || part.startsWith('.') ? ['bin', part] : ['server', part];
  const key = part.slice(0, at);
  if (!KEYS.some((one) => one === key)) throw invalid(`target: unknown key ${key}; known are ${KEYS.join(', ')}`);
  return [key, part.slice(at + 1)];
}

function invalid(message: string): FinialError {
  return new FinialError('invalid-argument', message);
}
