import { messageOf } from '../../common/errors.ts';
import { connectUnix, type RpcChannel } from '../../common/rpc/client.ts';
import { agentService, bundleService, entryService } from '../../common/rpc/services.ts';
import type { Entry__Output } from '../../proto/gen/spire/api/types/Entry.ts';
import { bundleFromProto } from '../../agent/server-client/convert.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { type Site, TRUST_DOMAIN } from './processes.ts';

/** What the operator's socket is asked for; each waits until the server is there. */
export interface Admin {
  readonly channel: RpcChannel;
  entries(): Promise<Entry__Output[]>;
  bundle(): Promise<Bundle>;
  /** All attested agents. */
  agents(): Promise<ListedAgent[]>;
  close(): void;
}

/** An agent as the server lists it. */
export interface ListedAgent {
  readonly id: string;
  /** Decimal serial number of the SVID that it was last seen with. */
  readonly serial: string;
}

export const CALL_TIMEOUT_MS = 30_000;
const PAGE_SIZE = 200;
/** A dead server is looked for again soon, as it is back soon. */
export const RECONNECT_MS = 100;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks until `attempt` no longer throws, and gives up with its last words. */
export async function eventually<T>(
  { patienceMs }: Pick<Site, 'patienceMs'>,
  what: string,
  attempt: () => Promise<T> | T,
  signal?: AbortSignal,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (signal?.aborted || performance.now() > deadline)
        throw new Error(`${what}: ${messageOf(error)}`, { cause: error });
      await pause(50);
    }
  }
}

/** @param signal ends the waiting */
export function newAdmin(site: Pick<Site, 'patienceMs' | 'serverSocket'>, signal: AbortSignal): Admin {
  const channel = connectUnix(site.serverSocket, { maxReconnectMs: RECONNECT_MS });
  const options = { timeoutMs: CALL_TIMEOUT_MS };
  /** Only for what does not change anything: it is asked again when the connection breaks. */
  const reading = <T>(what: string, work: () => Promise<T>): Promise<T> => eventually(site, what, work, signal);
  return {
    channel,
    entries: () =>
      reading('listing the entries', async () => {
        const all: Entry__Output[] = [];
        let token = '';
        do {
          const request = { page_size: PAGE_SIZE, page_token: token };
          const page = await channel.call(entryService(), 'ListEntries', request, options);
          all.push(...page.entries);
          token = page.next_page_token;
        } while (token !== '');
        return all;
      }),
    bundle: () =>
      reading('the bundle', async () =>
        bundleFromProto(await channel.call(bundleService(), 'GetBundle', {}, options), parseTrustDomain(TRUST_DOMAIN)),
      ),
    agents: () =>
      reading('listing the agents', async () => {
        const { agents } = await channel.call(agentService(), 'ListAgents', {}, options);
        return agents.map(({ id, x509svid_serial_number: serial }) => ({
          ...{ id: `spiffe://${id?.trust_domain}${id?.path}`, serial },
        }));
      }),
    close: () => channel.close(),
  };
}
