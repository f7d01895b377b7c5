import { sqlDataStore } from './datastore/sql/sql.ts';
import { agentDiskKeyManager, serverDiskKeyManager } from './key-manager/disk/disk.ts';
import { memoryKeyManager } from './key-manager/memory/memory.ts';
import { joinTokenAgentAttestor, joinTokenNodeAttestor } from './node-attestor/join-token/join-token.ts';
import { diskUpstreamAuthority } from './upstream-authority/disk/disk.ts';
import { unixWorkloadAttestor } from './workload-attestor/unix/unix.ts';

/** Every plugin that a server of this build knows. Nothing else registers any. */
export const serverBuiltIns = {
  dataStores: [sqlDataStore],
  keyManagers: [memoryKeyManager, serverDiskKeyManager],
  upstreamAuthorities: [diskUpstreamAuthority],
  nodeAttestors: [joinTokenNodeAttestor],
};

/** Every plugin that an agent of this build knows. */
export const agentBuiltIns = {
  keyManagers: [memoryKeyManager, agentDiskKeyManager],
  nodeAttestors: [joinTokenAgentAttestor],
  workloadAttestors: [unixWorkloadAttestor],
};
