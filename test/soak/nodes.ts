import type { AgentIdentity } from '../../agent/server-client/contract.ts';
import { messageOf } from '../../common/errors.ts';
import type { Random } from '../fuzz/random.ts';
import { type Admin, type ListedAgent, pause } from './admin.ts';
import { agentIdOf, attestNode, clientOf, createToken, identityOf, newKey, NODES } from './node.ts';
import { type Site, TRUST_DOMAIN } from './processes.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { judgedAt, type Sightings } from './sightings.ts';

/** Join tokens and what is known of each. */
export interface Tokens {
  /** Acknowledged by the server and not used. */
  readonly unused: Set<string>;
  /** An attestation with it was acknowledged: it must never work again. */
  readonly used: Set<string>;
  /** An attestation with it had no answer. */
  readonly unanswered: Set<string>;
  /** In the hands of the agent's process, which may or may not get to use it. */
  readonly given: Set<string>;
  /** Used up without an acknowledged attestation: it may have an agent, and must never work again. */
  readonly spent: Set<string>;
}

/** What a node of the load needs. */
export interface NodeContext {
  readonly site: Pick<Site, 'isOutage' | 'port'>;
  readonly admin: Admin;
  readonly tokens: Tokens;
  readonly sightings: Sightings;
  readonly random: Random;
  readonly report: (finding: string) => void;
  readonly turn: () => Promise<() => void>;
  readonly signal: AbortSignal;
}

/** The entries of the nodes: IDs of the entries are their paths without slashes. */
export const NODE_ENTRIES = ['node-a', 'node-b', 'node-c'] as const;

/** No SVID lives longer under authorities as short-lived as those of this load; then a new token is needed. */
const ALMOST_EXPIRED_MS = 1500;

/** A node without an agent: asks the server itself for SVIDs, tokens and renewals, and dies with nothing. */
export interface Node {
  readonly run: () => Promise<void>;
  /** Calls the server with the last SVID that it was given. @returns what is wrong */
  check(): Promise<string[]>;
}

/** Of a node that is attested, until its SVID ends because the server was away too long: then it starts anew. */
export function newNode(index: number, context: NodeContext): Node {
  const { admin, random, report, sightings, signal, site, turn } = context;
  const where = `node ${index}`;
  let identity: AgentIdentity | undefined;
  let roots: readonly Buffer[] = [];
  const client = clientOf(
    site,
    () => identity ?? raise('not attested'),
    () => roots,
  );

  const takeRoots = async (): Promise<void> => {
    roots = (await admin.bundle()).x509Authorities.map(({ certificate }) => certificate);
    client.reconnect();
  };
  const see = (chain: readonly Buffer[], asked: number): void => {
    // Roots that were read before the last rotation are no judge; the server's bundle is asked in the next check.
    for (const finding of sightings.x509(where, chain, judgedAt(asked, endOf(chain)))) report(finding);
  };
  const isExpired = (): boolean => identity === undefined || identity.notAfter - Date.now() < ALMOST_EXPIRED_MS;

  const attest = async (): Promise<void> => {
    const token = await createToken(admin, NODES);
    await takeRoots();
    context.tokens.unanswered.add(token);
    const asked = Date.now();
    identity = await attestNode(site, roots, token);
    context.tokens.unanswered.delete(token);
    context.tokens.used.add(token);
    client.reconnect();
    see(identity.chain, asked);
  };

  const renew = async (): Promise<void> => {
    const { signer, csr } = await newKey();
    const asked = Date.now();
    const { chain } = await client.renewAgent(csr, signal);
    identity = identityOf(chain, signer);
    client.reconnect();
    see(chain, asked);
  };

  const sign = async (): Promise<void> => {
    const requests = await Promise.all(
      NODE_ENTRIES.map(async (entryId) => ({
        entryId,
        csr: (await newKey(`spiffe://${TRUST_DOMAIN}/${entryId}`)).csr,
      })),
    );
    const asked = Date.now();
    for (const { chain } of (await client.signX509Svids(requests, signal)).values()) see(chain, asked);
    const askedForToken = Date.now();
    const jwt = await client.signJwtSvid(random.pick(NODE_ENTRIES), ['soak'], signal);
    sightings.jwt(where, jwt.token, 'soak', judgedAt(askedForToken, (jwt.expiresAt - 1) * 1000));
  };

  const step = async (): Promise<void> => {
    if (isExpired()) await attest();
    else if (isHalfOver(identity) || random.oneIn(8)) await renew();
    else await sign();
  };

  return {
    async run() {
      while (!signal.aborted) {
        const done = await turn();
        try {
          await step();
        } catch (error) {
          if (isUntrusted(error)) await takeRoots();
          else if (!site.isOutage(error) && !isExpired()) report(`${where}: ${messageOf(error)}`);
        } finally {
          done();
        }
        await pause(20 + random.int(80));
      }
      await client.close();
    },
    async check() {
      if (isExpired()) return [];
      try {
        await client.syncEntries(new Map(), signal);
        return [];
      } catch (error) {
        if (site.isOutage(error) || isExpired()) return [];
        return [`lost: ${where}: its last acknowledged SVID is refused: ${messageOf(error)}`];
      }
    },
  };
}

/** The server shows a certificate of an authority that was made since the roots were read. */
function isUntrusted(error: unknown): boolean {
  return messageOf(error).includes('not trusted');
}

function isHalfOver(identity: AgentIdentity | undefined): boolean {
  if (identity === undefined) return false;
  return identity.notAfter - Date.now() < (identity.notAfter - identity.notBefore) / 2;
}

/** Unix milliseconds; 0 of an empty chain, which is a finding by itself. */
function endOf([leaf]: readonly Buffer[]): number {
  return leaf === undefined ? 0 : parseCertificate(leaf).notAfter;
}

function raise(text: string): never {
  throw new Error(text);
}

/** Makes tokens and uses some of them, most never while the server lives that made them. */
export async function runTokens(context: NodeContext): Promise<void> {
  const { admin, random, report, signal, site, tokens, turn } = context;
  while (!signal.aborted) {
    const done = await turn();
    try {
      if (tokens.unused.size < 6) tokens.unused.add(await createToken(admin));
      else await useToken(random.pick([...tokens.unused]), context);
    } catch (error) {
      if (!site.isOutage(error)) report(`a join token was not made: ${messageOf(error)}`);
    } finally {
      done();
    }
    await pause(100 + random.int(600));
  }
}

/** A token that the server acknowledged works once. */
export async function useToken(token: string, context: NodeContext): Promise<void> {
  const { admin, report, sightings, site, tokens } = context;
  const roots = (await admin.bundle()).x509Authorities.map(({ certificate }) => certificate);
  try {
    const asked = Date.now();
    const { chain } = await attestNode(site, roots, token);
    for (const finding of sightings.x509('token', chain, judgedAt(asked, endOf(chain)), roots)) report(finding);
    tokens.used.add(token);
  } catch (error) {
    tokens.unanswered.add(token);
    if (!site.isOutage(error)) report(`lost: an acknowledged join token is refused: ${messageOf(error)}`);
  } finally {
    tokens.unused.delete(token);
  }
}

/** A token that was used never works again, whatever happened since. Call it when nothing else attests. */
export async function checkTokens(
  context: Pick<NodeContext, 'admin' | 'random' | 'site' | 'tokens'>,
): Promise<string[]> {
  const { admin, random, site, tokens } = context;
  const roots = (await admin.bundle()).x509Authorities.map(({ certificate }) => certificate);
  const findings: string[] = [];
  const attempt = async (token: string): Promise<'works' | 'refused' | 'no answer'> => {
    try {
      await attestNode(site, roots, token);
      return 'works';
    } catch (error) {
      if (/join token does not exist or has already been used/.test(messageOf(error))) return 'refused';
      if (site.isOutage(error)) return 'no answer';
      findings.push(`a used join token is refused in other words: ${messageOf(error)}`);
      return 'refused';
    }
  };
  const used = [...tokens.used, ...tokens.spent];
  for (const token of new Set([used.at(-1), used.length > 0 ? random.pick(used) : undefined])) {
    if (token !== undefined && (await attempt(token)) === 'works') {
      findings.push('doubled: a used join token works again');
    }
  }
  // Whether it was used before or is now, from now on it is; unless nobody can tell.
  const [doubtful] = tokens.unanswered;
  const outcome = doubtful === undefined ? 'no answer' : await attempt(doubtful);
  if (doubtful !== undefined && outcome !== 'no answer') {
    if ((await attempt(doubtful)) === 'works') findings.push('doubled: a join token works twice');
    tokens.unanswered.delete(doubtful);
    tokens[outcome === 'works' ? 'used' : 'spent'].add(doubtful);
  }
  return findings;
}

/** One agent per token, each from a token that was made here, and with the SVID that it was given. */
export async function checkAgents({
  admin,
  sightings,
  tokens,
}: Pick<NodeContext, 'admin' | 'sightings' | 'tokens'>): Promise<string[]> {
  const agents = await admin.agents();
  const ids = agents.map(({ id }) => id);
  const findings = agents.flatMap((agent) => checkSerial(agent, sightings.agentSerials(agent.id)));
  if (new Set(ids).size !== ids.length) findings.push('doubled: an agent is listed twice');
  const listed = new Set(ids);
  for (const token of tokens.used) {
    if (!listed.has(agentIdOf(token))) findings.push(`lost: the agent of a used token is not listed`);
  }
  for (const token of tokens.unused) {
    if (listed.has(agentIdOf(token))) findings.push('from nowhere: an agent is listed whose token was not used');
  }
  return findings;
}

/**
 * The server holds the serial number of the last SVID that an agent was given, or of the one before while the last has not
 * been used. Of an agent that was never answered there is nothing to hold it against.
 */
function checkSerial({ id, serial }: ListedAgent, given: readonly string[]): string[] {
  if (given.length === 0 || given.slice(-2).includes(serial)) return [];
  if (given.includes(serial)) return [`lost: the server holds an old serial number of ${id}`];
  return [`from nowhere: the server holds a serial number of ${id} that it was not given`];
}
