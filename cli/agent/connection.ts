import { connectUnix, type RpcChannel } from '../../common/rpc/client.ts';
import { resolveSocketPath } from '../socket-path.ts';

export const DEFAULT_AGENT_SOCKET = '/tmp/spire-agent/public/api.sock';

const naming = {
  defaultPath: DEFAULT_AGENT_SOCKET,
  variable: 'SPIRE_AGENT_PUBLIC_SOCKET',
  templateVariable: 'SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE',
};

/** Every call of the Workload API carries this header (SPIFFE Workload Endpoint 5). */
export const securityHeader = { 'workload.spiffe.io': 'true' };

/** Options of a call that `-timeout` bounds; 0 means no bound. */
export function callOptions(timeoutMs: number): { metadata: typeof securityHeader; timeoutMs?: number } {
  return timeoutMs > 0 ? { metadata: securityHeader, timeoutMs } : { metadata: securityHeader };
}

/** Runs `use` over a connection to the agent's public socket and closes it afterwards. */
export async function withAgent<T>(
  flags: { readonly socketPath: string; readonly instance: string },
  env: Readonly<Record<string, string | undefined>>,
  use: (agent: RpcChannel) => Promise<T>,
): Promise<T> {
  const agent = connectUnix(resolveSocketPath(naming, flags, env));
  try {
    return await use(agent);
  } finally {
    agent.close();
  }
}
