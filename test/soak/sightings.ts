import { createHash } from 'node:crypto';
import { messageOf } from '../../common/errors.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { verifyJwtSvid } from '../../spiffe/jwt/verify.ts';
import { pathOf } from '../../spiffe/id.ts';
import { parseCertificate, spiffeIdOf } from '../../spiffe/x509/certificate.ts';
import { verifyX509Svid } from '../../spiffe/x509/verify.ts';

/** Below it are the IDs of agents, one for each join token. */
const AGENTS = '/spire/agent/';

/** A chain or a token in the hands of somebody. */
interface Sighting<T> {
  readonly what: T;
  /** Unix milliseconds. */
  readonly at: number;
  readonly where: string;
}

/** Every certificate and token that the load came to see. */
export interface Sightings {
  /**
   * @param chain DER, leaf first
   * @param roots the bundle that came along with it; without one only the server's is asked
   * @returns what is wrong with it
   */
  x509(where: string, chain: readonly Buffer[], at: number, roots?: readonly Buffer[]): string[];
  jwt(where: string, token: string, audience: string, at: number): void;
  /** Judges what was seen since the last time by the server's bundle, each at the time when it was seen. */
  judge(bundle: Bundle): Promise<string[]>;
  /** Decimal serial numbers of the SVIDs that an agent was given, the last one last. */
  agentSerials(id: string): readonly string[];
  /** How many different serial numbers were seen. */
  readonly serials: number;
  readonly tokens: number;
}

/**
 * The moment by which an answer is judged: what was valid when it was asked for may have run out on its way, when the
 * network was cut or a process held.
 *
 * @param asked Unix milliseconds
 * @param notAfter Unix milliseconds of its last valid moment
 */
export function judgedAt(asked: number, notAfter: number): number {
  return Math.max(asked, Math.min(Date.now(), notAfter));
}

export function newSightings(): Sightings {
  const certificates = new Map<string, string>();
  const agentSerials = new Map<string, string[]>();
  let tokens = 0;
  let chains: Sighting<readonly Buffer[]>[] = [];
  let jwts: Sighting<{ readonly token: string; readonly audience: string }>[] = [];
  return {
    get serials() {
      return certificates.size;
    },
    get tokens() {
      return tokens;
    },
    x509(where, chain, at, roots) {
      const [leaf] = chain;
      if (leaf === undefined) return [`${where}: an empty chain`];
      const certificate = parseCertificate(leaf);
      const { serialNumber } = certificate;
      const serial = serialNumber.toString(16);
      const digest = createHash('sha256').update(leaf).digest('base64');
      const known = certificates.get(serial);
      if (known === digest) return [];
      if (known !== undefined) return [`doubled: ${where}: serial ${serial} was issued for two certificates`];
      certificates.set(serial, digest);
      const id = spiffeIdOf(certificate);
      if (pathOf(id).startsWith(AGENTS)) agentSerials.set(id, [...(agentSerials.get(id) ?? []), String(serialNumber)]);
      chains.push({ what: chain, at, where });
      return roots === undefined ? [] : judgeChain({ what: chain, at, where }, roots);
    },
    agentSerials: (id) => agentSerials.get(id) ?? [],
    jwt(where, token, audience, at) {
      tokens += 1;
      jwts.push({ what: { token, audience }, at, where });
    },
    async judge({ jwtAuthorities, x509Authorities }) {
      const roots = x509Authorities.map(({ certificate }) => certificate);
      const findings = chains.flatMap((chain) => judgeChain(chain, roots));
      chains = [];
      const [seen] = [jwts, (jwts = [])];
      for (const { what, at, where } of seen) {
        try {
          await verifyJwtSvid(what.token, { audience: [what.audience], authorities: () => jwtAuthorities, now: at });
        } catch (error) {
          findings.push(`${where}: the server's bundle does not verify a JWT-SVID: ${messageOf(error)}`);
        }
      }
      return findings;
    },
  };
}

function judgeChain({ what, at, where }: Sighting<readonly Buffer[]>, roots: readonly Buffer[]): string[] {
  try {
    verifyX509Svid(what, () => roots, at);
    return [];
  } catch (error) {
    return [`${where}: the bundle does not verify an X509-SVID: ${messageOf(error)}`];
  }
}
