import { connectUnix, type RpcChannel } from '../../common/rpc/client.ts';
import { loadService } from '../../common/rpc/service.ts';
import type { HealthDefinition } from '../../proto/gen/grpc/health/v1/Health.ts';
import type { AgentDefinition } from '../../proto/gen/spire/api/server/agent/v1/Agent.ts';
import type { BundleDefinition } from '../../proto/gen/spire/api/server/bundle/v1/Bundle.ts';
import type { EntryDefinition } from '../../proto/gen/spire/api/server/entry/v1/Entry.ts';
import type { SVIDDefinition } from '../../proto/gen/spire/api/server/svid/v1/SVID.ts';
import { resolveSocketPath } from '../socket-path.ts';

export const DEFAULT_SERVER_SOCKET = '/tmp/spire-server/private/api.sock';

const naming = {
  defaultPath: DEFAULT_SERVER_SOCKET,
  variable: 'SPIRE_SERVER_PRIVATE_SOCKET',
  templateVariable: 'SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE',
};

export const agentService = loadService<AgentDefinition>(
  'spire/api/server/agent/v1/agent.proto',
  'spire.api.server.agent.v1.Agent',
);
export const bundleService = loadService<BundleDefinition>(
  'spire/api/server/bundle/v1/bundle.proto',
  'spire.api.server.bundle.v1.Bundle',
);
export const entryService = loadService<EntryDefinition>(
  'spire/api/server/entry/v1/entry.proto',
  'spire.api.server.entry.v1.Entry',
);
export const svidService = loadService<SVIDDefinition>(
  'spire/api/server/svid/v1/svid.proto',
  'spire.api.server.svid.v1.SVID',
);
export const healthService = loadService<HealthDefinition>('grpc/health/v1/health.proto', 'grpc.health.v1.Health');

/** Runs `use` over a connection to the server's admin socket and closes it afterwards. */
export async function withServer<T>(
  flags: { readonly socketPath: string; readonly instance: string },
  env: Readonly<Record<string, string | undefined>>,
  use: (server: RpcChannel) => Promise<T>,
): Promise<T> {
  const server = connectUnix(resolveSocketPath(naming, flags, env));
  try {
    return await use(server);
  } finally {
    server.close();
  }
}
