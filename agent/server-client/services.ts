import { loadService } from '../../common/rpc/service.ts';
import type { AgentDefinition } from '../../proto/gen/spire/api/server/agent/v1/Agent.ts';
import type { BundleDefinition } from '../../proto/gen/spire/api/server/bundle/v1/Bundle.ts';
import type { EntryDefinition } from '../../proto/gen/spire/api/server/entry/v1/Entry.ts';
import type { SVIDDefinition } from '../../proto/gen/spire/api/server/svid/v1/SVID.ts';

/** The services of the server that agents call. */
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
