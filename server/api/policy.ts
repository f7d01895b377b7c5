import type { ChangesDefinition } from '../../proto/gen/finial/agent/v1/Changes.ts';
import type { HealthDefinition } from '../../proto/gen/grpc/health/v1/Health.ts';
import type { AgentDefinition } from '../../proto/gen/spire/api/server/agent/v1/Agent.ts';
import type { BundleDefinition } from '../../proto/gen/spire/api/server/bundle/v1/Bundle.ts';
import type { EntryDefinition } from '../../proto/gen/spire/api/server/entry/v1/Entry.ts';
import type { SVIDDefinition } from '../../proto/gen/spire/api/server/svid/v1/SVID.ts';

/** What a caller can be. `local` is whoever may open the admin socket. */
export type Role = 'local' | 'admin' | 'agent' | 'downstream';

/** A rate limit; methods with the same one share its tokens. */
export type LimitName = 'attest' | 'csr' | 'jsr' | 'wsr' | 'push-key' | 'post-status';

/** One row of the policy. */
export interface MethodPolicy {
  readonly callers: 'anyone' | readonly Role[];
  readonly limit: LimitName | undefined;
  /** `call`: one line per call. `item`: one per item, and one for a call that fails. `failure`: only that one. */
  readonly audit: 'call' | 'item' | 'failure';
}

/** Tokens per second and at once, per client address; and the configuration switch that turns the limit off. */
export const limits = {
  attest: { perSecond: 1, switch: 'attestation' },
  csr: { perSecond: 500, switch: 'signing' },
  jsr: { perSecond: 500, switch: 'signing' },
  wsr: { perSecond: 500, switch: 'signing' },
  'push-key': { perSecond: 500, switch: undefined },
  'post-status': { perSecond: 10, switch: undefined },
} as const satisfies Record<LimitName, { perSecond: number; switch: 'attestation' | 'signing' | undefined }>;

type Methods<Service extends string, Definition> = `/${Service}/${keyof Definition & string}`;

/** Every method of every service that is served. */
export type MethodName =
  | Methods<'spire.api.server.agent.v1.Agent', AgentDefinition>
  | Methods<'spire.api.server.bundle.v1.Bundle', BundleDefinition>
  | Methods<'spire.api.server.entry.v1.Entry', EntryDefinition>
  | Methods<'spire.api.server.svid.v1.SVID', SVIDDefinition>
  | Methods<'finial.agent.v1.Changes', ChangesDefinition>
  | Methods<'grpc.health.v1.Health', HealthDefinition>;

function row(
  callers: MethodPolicy['callers'],
  limit: MethodPolicy['limit'] | 'none',
  audit: MethodPolicy['audit'],
): MethodPolicy {
  return { callers, limit: limit === 'none' ? undefined : limit, audit };
}

const operators = ['local', 'admin'] as const;
const agents = ['agent'] as const;
const downstreams = ['downstream'] as const;
const local = ['local'] as const;

/** Who may call what, at which rate, and what the audit log says of it. A method without a row cannot be called. */
export const policy = {
  '/spire.api.server.agent.v1.Agent/CountAgents': row(operators, 'none', 'call'),
  '/spire.api.server.agent.v1.Agent/ListAgents': row(operators, 'none', 'call'),
  '/spire.api.server.agent.v1.Agent/GetAgent': row(operators, 'none', 'call'),
  '/spire.api.server.agent.v1.Agent/DeleteAgent': row(operators, 'none', 'call'),
  '/spire.api.server.agent.v1.Agent/BanAgent': row(operators, 'none', 'call'),
  '/spire.api.server.agent.v1.Agent/AttestAgent': row('anyone', 'attest', 'call'),
  '/spire.api.server.agent.v1.Agent/RenewAgent': row(agents, 'csr', 'call'),
  '/spire.api.server.agent.v1.Agent/CreateJoinToken': row(operators, 'none', 'call'),
  '/spire.api.server.agent.v1.Agent/PostStatus': row(agents, 'post-status', 'call'),

  '/spire.api.server.bundle.v1.Bundle/GetBundle': row('anyone', 'none', 'call'),
  '/spire.api.server.bundle.v1.Bundle/CountBundles': row(operators, 'none', 'call'),
  '/spire.api.server.bundle.v1.Bundle/AppendBundle': row(operators, 'none', 'call'),
  '/spire.api.server.bundle.v1.Bundle/PublishJWTAuthority': row(downstreams, 'push-key', 'call'),
  '/spire.api.server.bundle.v1.Bundle/PublishWITAuthority': row(downstreams, 'push-key', 'call'),
  '/spire.api.server.bundle.v1.Bundle/ListFederatedBundles': row(operators, 'none', 'call'),
  '/spire.api.server.bundle.v1.Bundle/GetFederatedBundle': row(['local', 'admin', 'agent'], 'none', 'call'),
  '/spire.api.server.bundle.v1.Bundle/BatchCreateFederatedBundle': row(operators, 'none', 'item'),
  '/spire.api.server.bundle.v1.Bundle/BatchUpdateFederatedBundle': row(operators, 'none', 'item'),
  '/spire.api.server.bundle.v1.Bundle/BatchSetFederatedBundle': row(operators, 'none', 'item'),
  '/spire.api.server.bundle.v1.Bundle/BatchDeleteFederatedBundle': row(operators, 'none', 'item'),

  '/spire.api.server.entry.v1.Entry/CountEntries': row(operators, 'none', 'call'),
  '/spire.api.server.entry.v1.Entry/ListEntries': row(operators, 'none', 'call'),
  '/spire.api.server.entry.v1.Entry/GetEntry': row(operators, 'none', 'call'),
  '/spire.api.server.entry.v1.Entry/BatchCreateEntry': row(operators, 'none', 'item'),
  '/spire.api.server.entry.v1.Entry/BatchUpdateEntry': row(operators, 'none', 'item'),
  '/spire.api.server.entry.v1.Entry/BatchDeleteEntry': row(operators, 'none', 'item'),
  '/spire.api.server.entry.v1.Entry/GetAuthorizedEntries': row(agents, 'none', 'call'),
  '/spire.api.server.entry.v1.Entry/SyncAuthorizedEntries': row(agents, 'none', 'call'),

  '/spire.api.server.svid.v1.SVID/MintX509SVID': row(operators, 'none', 'call'),
  '/spire.api.server.svid.v1.SVID/MintJWTSVID': row(operators, 'none', 'call'),
  '/spire.api.server.svid.v1.SVID/MintWITSVID': row(operators, 'none', 'call'),
  '/spire.api.server.svid.v1.SVID/BatchNewX509SVID': row(agents, 'csr', 'item'),
  '/spire.api.server.svid.v1.SVID/NewJWTSVID': row(agents, 'jsr', 'call'),
  '/spire.api.server.svid.v1.SVID/BatchNewWITSVID': row(agents, 'wsr', 'item'),
  '/spire.api.server.svid.v1.SVID/NewDownstreamX509CA': row(downstreams, 'csr', 'call'),

  '/finial.agent.v1.Changes/Watch': row(agents, 'none', 'call'),

  '/grpc.health.v1.Health/Check': row(local, 'none', 'failure'),
  '/grpc.health.v1.Health/List': row(local, 'none', 'failure'),
  '/grpc.health.v1.Health/Watch': row(local, 'none', 'failure'),
} satisfies Record<MethodName, MethodPolicy>;

/** The row of a method; undefined when nobody may call it. */
export function policyOf(method: string): MethodPolicy | undefined {
  return Object.hasOwn(policy, method) ? policy[method as MethodName] : undefined;
}
