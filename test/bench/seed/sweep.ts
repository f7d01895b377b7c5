import { hasCode } from '../../../common/errors.ts';
import type { RpcChannel } from '../../../common/rpc/client.ts';
import { agentService, entryService } from '../../../common/rpc/services.ts';
import { parseSpiffeId, trustDomainOf, pathOf } from '../../../spiffe/id.ts';
import { deleteEntries } from './api.ts';
import { SEED_SERIES } from './entries.ts';

const CALL = { timeoutMs: 60_000 } as const;
const PAGE = 1000;
/** First parts of the IDs of entries that rows make, besides the seeded ones. */
const ROW_SERIES = /^be9c(0001|0002|5f1d)-/;
/** Entries of the row about creating them, whose IDs the server chose. */
const CREATED = '/bench/created/';

/**
 * Takes away what the bench made on a server that was there before it: entries, also those that an interrupted run left,
 * and agents.
 *
 * @param agents that the bench played; others are left alone, and so are their entries
 * @param keepSeeds whether the seeded entries stay, for the next run
 */
export async function sweep(admin: RpcChannel, agents: readonly string[], keepSeeds: boolean): Promise<void> {
  const own = new Set(agents);
  const found: string[] = [];
  let token = '';
  do {
    const request = { page_size: PAGE, page_token: token, output_mask: { spiffe_id: true, parent_id: true } };
    const page = await admin.call(entryService(), 'ListEntries', request, CALL);
    for (const { id, parent_id: parent, spiffe_id: spiffeId } of page.entries) {
      const alias = own.has(`spiffe://${parent?.trust_domain}${parent?.path}`);
      const seeded = id.startsWith(SEED_SERIES) && !keepSeeds;
      if (alias || seeded || ROW_SERIES.test(id) || spiffeId?.path.startsWith(CREATED) === true) found.push(id);
    }
    token = page.next_page_token;
  } while (token !== '');
  await deleteEntries(admin, found);
  for (const agent of own) await deleteAgent(admin, agent);
}

async function deleteAgent(admin: RpcChannel, agent: string): Promise<void> {
  const id = parseSpiffeId(agent);
  try {
    await admin.call(
      agentService(),
      'DeleteAgent',
      { id: { trust_domain: trustDomainOf(id), path: pathOf(id) } },
      CALL,
    );
  } catch (error) {
    // Its token was made, but not used.
    if (!hasCode(error, 'not-found')) throw error;
  }
}
