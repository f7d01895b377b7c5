import type { ChangesDefinition } from '../../proto/gen/finial/agent/v1/Changes.ts';
import type { HealthDefinition } from '../../proto/gen/grpc/health/v1/Health.ts';
import type { ServerReflectionDefinition } from '../../proto/gen/grpc/reflection/v1/ServerReflection.ts';
import type { ServerReflectionDefinition as ServerReflectionAlphaDefinition } from '../../proto/gen/grpc/reflection/v1alpha/ServerReflection.ts';
import type { AgentDefinition } from '../../proto/gen/spire/api/server/agent/v1/Agent.ts';
import type { BundleDefinition } from '../../proto/gen/spire/api/server/bundle/v1/Bundle.ts';
import type { EntryDefinition } from '../../proto/gen/spire/api/server/entry/v1/Entry.ts';
import type { SVIDDefinition } from '../../proto/gen/spire/api/server/svid/v1/SVID.ts';
import type { SpiffeWorkloadAPIDefinition } from '../../proto/gen/workload/SpiffeWorkloadAPI.ts';
import { loadService, type ServiceRef } from './service.ts';

// The services that our processes serve and call. Functions, so that a command reads only the .proto files it needs.

/** Agents of the server: attesting, listing, banning. */
export function agentService(): ServiceRef<AgentDefinition> {
  return loadService('spire/api/server/agent/v1/agent.proto', 'spire.api.server.agent.v1.Agent');
}

/** Bundles of the server: its own and those of federated trust domains. */
export function bundleService(): ServiceRef<BundleDefinition> {
  return loadService('spire/api/server/bundle/v1/bundle.proto', 'spire.api.server.bundle.v1.Bundle');
}

/** Registration entries of the server. */
export function entryService(): ServiceRef<EntryDefinition> {
  return loadService('spire/api/server/entry/v1/entry.proto', 'spire.api.server.entry.v1.Entry');
}

/** Hints of the server that an agent should synchronise. Ours; other servers do not know it. */
export function changesService(): ServiceRef<ChangesDefinition> {
  return loadService('finial/agent/v1/changes.proto', 'finial.agent.v1.Changes');
}

/** SVIDs that the server signs. */
export function svidService(): ServiceRef<SVIDDefinition> {
  return loadService('spire/api/server/svid/v1/svid.proto', 'spire.api.server.svid.v1.SVID');
}

/** The SPIFFE Workload API of the agent. */
export function workloadService(): ServiceRef<SpiffeWorkloadAPIDefinition> {
  return loadService('workload.proto', 'SpiffeWorkloadAPI');
}

/** Health of server and agent over gRPC. */
export function healthService(): ServiceRef<HealthDefinition> {
  return loadService('grpc/health/v1/health.proto', 'grpc.health.v1.Health');
}

/** What a server serves, told by itself. */
export function reflectionService(): ServiceRef<ServerReflectionDefinition> {
  return loadService('grpc/reflection/v1/reflection.proto', 'grpc.reflection.v1.ServerReflection');
}

/** The same under its former name. */
export function reflectionServiceAlpha(): ServiceRef<ServerReflectionAlphaDefinition> {
  return loadService('grpc/reflection/v1alpha/reflection.proto', 'grpc.reflection.v1alpha.ServerReflection');
}
