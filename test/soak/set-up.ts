import { rmSync, writeFileSync } from 'node:fs';
import { entryService } from '../../common/rpc/services.ts';
import type { Entry } from '../../proto/gen/spire/api/types/Entry.ts';
import { certificatesToPem } from '../../spiffe/x509/pem.ts';
import { type Admin, CALL_TIMEOUT_MS } from './admin.ts';
import { createToken, NODES } from './node.ts';
import { NODE_ENTRIES, type Tokens } from './nodes.ts';
import { type Site, TRUST_DOMAIN } from './processes.ts';
import { CANARY, canaryName } from './workloads.ts';

/** An alias of the node of the agent, so that what is registered below it outlives the agent's ID. */
const AGENT_NODE = '/agent-node';

/** Starts a server and an agent that has identities for whoever runs this. Nobody kills anything yet. */
export async function setUp(site: Site, admin: Admin, tokens: Tokens): Promise<void> {
  site.server.start();
  await admin.bundle();
  await createEntries(admin);
  await attestAgentOf(site, admin, tokens);
}

/**
 * Starts the agent with a token of its own, as an operator would whose agent was away for too long: without what it had,
 * since an agent trusts the bundle that it kept rather than the one that it is given. It must not run.
 */
export async function attestAgentOf(site: Site, admin: Admin, tokens: Tokens): Promise<void> {
  const { x509Authorities } = await admin.bundle();
  writeFileSync(site.at('bundle.pem'), certificatesToPem(x509Authorities.map(({ certificate }) => certificate)));
  const token = await createToken(admin, AGENT_NODE);
  // The process that had the last one is gone: whether that was used shows when it is tried.
  for (const before of tokens.given) tokens.unanswered.add(before);
  tokens.given.clear();
  tokens.given.add(token);
  rmSync(site.at('agent', 'agent-data.json'), { force: true });
  site.agent.start(['-joinToken', token]);
}

/** What the canary is registered as when it has reached `number`. */
export function canaryEntry(number: number): Entry {
  return {
    id: 'canary',
    spiffe_id: idOf(CANARY),
    parent_id: idOf(AGENT_NODE),
    selectors: [{ type: 'unix', value: `uid:${process.geteuid?.()}` }],
    dns_names: [canaryName(number)],
  };
}

async function createEntries(admin: Admin): Promise<void> {
  const own = { selectors: [{ type: 'unix', value: `uid:${process.geteuid?.()}` }], parent_id: idOf(AGENT_NODE) };
  const entries = [
    canaryEntry(0),
    { ...own, id: 'second', spiffe_id: idOf('/second'), hint: 'second' },
    ...NODE_ENTRIES.map((id) => ({
      ...{ id, spiffe_id: idOf(`/${id}`), parent_id: idOf(NODES) },
      selectors: [{ type: 'soak', value: id }],
    })),
  ];
  const request = { entries };
  const { results } = await admin.channel.call(entryService(), 'BatchCreateEntry', request, {
    timeoutMs: CALL_TIMEOUT_MS,
  });
  const refused = results.find(({ status }) => status?.code !== 0);
  if (refused !== undefined) throw new Error(`an entry was refused: ${refused.status?.message}`);
}

function idOf(path: string): { readonly trust_domain: string; readonly path: string } {
  return { trust_domain: TRUST_DOMAIN, path };
}
