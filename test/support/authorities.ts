import { createHash } from 'node:crypto';
import { type Clock, ManualClock } from '../../common/clock.ts';
import { type LogFields, type Logger, silentLogger } from '../../common/log/logger.ts';
import type { BundleStore, JournalStore } from '../../plugins/datastore/sql/contract.ts';
import type { KeyManager } from '../../plugins/key-manager/contract.ts';
import { keysInProcess } from '../../common/keys-in-process.ts';
import {
  type AuthoritiesConfig,
  type AuthoritiesDeps,
  startAuthorities,
  type Authorities,
} from '../../server/ca/authorities.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { authorityId } from '../../spiffe/x509/profile.ts';
import { memoryDatastore } from './memory-datastore.ts';

export const trustDomain = parseTrustDomain('example.org');

export const HOUR = 3_600_000;

/** What outlives a process: the store, the keys, and time itself. */
export interface Machine {
  readonly bundles: BundleStore;
  readonly journals: JournalStore;
  readonly keyManager: KeyManager;
  readonly clock: ManualClock;
}

export function newMachine(machine: Partial<Machine> = {}): Machine {
  return { ...memoryDatastore(), keyManager: keysInProcess(), clock: new ManualClock(), ...machine };
}

export interface ProcessOptions {
  readonly config?: Partial<AuthoritiesConfig>;
  readonly upstream?: AuthoritiesDeps['upstream'];
  readonly log?: Logger;
}

/** Starts the authorities of a server process on the machine. */
export function startOn(
  machine: Omit<Machine, 'clock'> & { readonly clock: Clock },
  options: ProcessOptions = {},
): Promise<Authorities> {
  return startAuthorities({
    ...machine,
    trustDomain,
    config: {
      caTtl: 24 * HOUR,
      caKeyType: 'ec-p256',
      jwtKeyType: 'ec-p256',
      caSubject: { country: ['US'], organization: ['SPIFFE'] },
      disableJwtSvids: false,
      ...options.config,
    },
    log: options.log ?? silentLogger,
    random: countingRandom(),
    ...(options.upstream && { upstream: options.upstream }),
  });
}

let draws = 0;

/** Bytes that look random, never repeat, and are the same in each run. */
export function countingRandom(): (size: number) => Buffer {
  return (size) => {
    const parts: Buffer[] = [];
    for (let length = 0; length < size; length += 32) {
      draws += 1;
      parts.push(createHash('sha256').update(`draw ${draws}`).digest());
    }
    return Buffer.concat(parts).subarray(0, size);
  };
}

/** The authority IDs in the bundle, in its order. */
export async function bundledIds({ bundles }: Machine): Promise<{ x509: readonly string[]; jwt: readonly string[] }> {
  const bundle = await bundles.get(trustDomain);
  return {
    x509: (bundle?.x509Authorities ?? []).map((one) => authorityId(parseCertificate(one.certificate).publicKey)),
    jwt: (bundle?.jwtAuthorities ?? []).map((one) => one.keyId),
  };
}

export function activeIds({ x509, jwt }: Authorities): { x509: string | undefined; jwt: string | undefined } {
  return { x509: x509.current?.authorityId, jwt: jwt.current?.keyId };
}

/** Lets the server run for as long as `work` takes. */
export async function running(authorities: Authorities, work: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const run = authorities.run(stop.signal);
  try {
    await work();
  } finally {
    stop.abort();
    await run;
    await authorities.close();
  }
}

/** Lets time go by for a running server, as slowly as it needs to make its keys. */
export async function pass({ clock }: Machine, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 10_000) {
    await clock.advance(Math.min(left, 10_000));
    // Rotation and two kinds of pruning wait for their turn.
    while (clock.sleeping < 3) await new Promise((resolve) => setImmediate(resolve));
  }
}

export function recordingLog(): {
  readonly log: Logger;
  readonly lines: { message: string; fields: LogFields | undefined }[];
} {
  const lines: { message: string; fields: LogFields | undefined }[] = [];
  const write = (message: string, fields?: LogFields): void => void lines.push({ message, fields });
  const log: Logger = { ...silentLogger, error: write, warn: write, info: write, with: () => log };
  return { log, lines };
}
