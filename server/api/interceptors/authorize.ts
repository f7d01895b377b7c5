import type { Clock } from '../../../common/clock.ts';
import { FinialError } from '../../../common/errors.ts';
import type { Interceptor, PeerCertificate } from '../../../common/rpc/call.ts';
import type { EntryStore, NodeStore } from '../../../plugins/datastore/sql/contract.ts';
import type { SpiffeId } from '../../../spiffe/id.ts';
import { type Authorization, type CallState, stateOf } from '../call-state.ts';
import type { Role } from '../policy.ts';
import { isBanned } from '../../../spiffe/registration/node.ts';

/** What tells whether a certificate is an agent's. */
export interface AgentCheckDeps {
  readonly nodes: Pick<NodeStore, 'get' | 'update'>;
  readonly clock: Clock;
}

/** What tells who a caller is. */
export interface AuthorizeDeps extends AgentCheckDeps {
  readonly adminIds: ReadonlySet<SpiffeId>;
  readonly entries: Pick<EntryStore, 'list'>;
}

/** Lets in only whom the method's policy allows; notes in which role. */
export function authorize(deps: AuthorizeDeps): Interceptor {
  return async (call) => {
    const state = stateOf(call);
    const decision = await decide(state, deps);
    if ('refused' in decision) throw refusal(call.method, state, decision.refused);
    state.authorization = decision;
    state.log = state.log.with({ authorized_as: decision.as, authorized_via: decision.via });
    return undefined;
  };
}

/**
 * Looks once more whether the caller, let in as an agent, is one still; for calls that go on.
 *
 * @throws FinialError as `authorize` does
 */
export async function requireAgent(method: string, state: CallState, deps: AgentCheckDeps): Promise<void> {
  const { caller } = state;
  const refused = caller.kind === 'identified' ? await whyNoAgent(caller.certificate, state, deps) : undefined;
  if (caller.kind !== 'identified' || refused !== undefined) throw refusal(method, state, refused);
}

function refusal(method: string, { log }: CallState, why: FinialError | undefined): FinialError {
  if (why !== undefined && why.code !== 'permission-denied') return why;
  const denial = why?.denial === undefined ? {} : { denial: why.denial };
  const error = new FinialError('permission-denied', `authorization denied for method ${method}`, denial);
  log.error('Failed to authenticate caller', { error });
  return error;
}

type Decision = Authorization | { readonly refused: FinialError | undefined };

const NOBODY: Decision = { refused: undefined };

/** The first role that fits, asked in order of cost: nothing, the transport, the configuration, entries, the node. */
async function decide(state: CallState, deps: AuthorizeDeps): Promise<Decision> {
  const { caller, policy } = state;
  if (policy.callers === 'anyone') return { as: 'nobody', via: '' };
  const allows = new Set<Role>(policy.callers);
  if (caller.kind === 'local') return allows.has('local') ? { as: 'local', via: 'transport' } : NOBODY;
  if (caller.kind === 'anonymous') return NOBODY;
  if (allows.has('admin') && deps.adminIds.has(caller.id)) return { as: 'admin', via: 'config' };
  if (allows.has('admin') || allows.has('downstream')) {
    const role = await roleByEntries(caller.id, allows, state, deps);
    if (role !== undefined) return { as: role, via: 'entries' };
  }
  if (!allows.has('agent')) return NOBODY;
  const refused = await whyNoAgent(caller.certificate, state, deps);
  return refused === undefined ? { as: 'agent', via: 'datastore' } : { refused };
}

async function roleByEntries(
  id: SpiffeId,
  allows: ReadonlySet<Role>,
  state: CallState,
  deps: AuthorizeDeps,
): Promise<'admin' | 'downstream' | undefined> {
  try {
    const { entries } = await deps.entries.list({ filter: { spiffeId: id } });
    if (allows.has('admin') && entries.some(({ admin }) => admin)) return 'admin';
    if (allows.has('downstream') && entries.some(({ downstream }) => downstream)) return 'downstream';
    return undefined;
  } catch (error) {
    state.log.error('Failed to fetch caller entries', { error });
    throw new FinialError('internal', 'failed to fetch caller entries', { cause: error });
  }
}

/**
 * Whether the certificate is the one its agent uses now. Asked of the datastore on every call, so that a ban or an
 * eviction takes effect at once; the first use of a renewed certificate makes it the current one.
 */
async function whyNoAgent(
  certificate: PeerCertificate,
  { log }: CallState,
  deps: AgentCheckDeps,
): Promise<FinialError | undefined> {
  const { id, serialNumber } = certificate;
  if (deps.clock.now() > certificate.notAfter) {
    log.error('Agent SVID is expired');
    return denied('agent-expired', `agent "${id}" SVID is expired`);
  }
  const node = await deps.nodes.get(id).catch((error: unknown) => {
    log.error('Unable to look up agent information', { error });
    throw new FinialError('internal', 'unable to look up agent information', { cause: error });
  });
  if (node === undefined) {
    log.error('Agent is not attested');
    return denied('agent-not-attested', `agent "${id}" is not attested`);
  }
  if (isBanned(node)) {
    log.error('Agent is banned');
    return denied('agent-banned', `agent "${id}" is banned`);
  }
  if (node.serialNumber === serialNumber) return undefined;
  const serials = { svid_serial_num: serialNumber, serial_num: node.serialNumber };
  if (node.newSerialNumber !== serialNumber) {
    log.error('Agent SVID is not active', serials);
    return denied('agent-not-active', `agent "${id}" expected to have serial number "${node.serialNumber}"`);
  }
  const promoted = {
    serialNumber: node.newSerialNumber,
    expiresAt: node.newExpiresAt,
    newSerialNumber: '',
    newExpiresAt: 0,
  };
  await deps.nodes.update(id, promoted).catch((error: unknown) => {
    log.warn('Unable to activate the new agent SVID', { ...serials, new_serial_num: node.newSerialNumber, error });
    throw new FinialError('internal', 'unable to activate the new agent SVID', { cause: error });
  });
  return undefined;
}

function denied(denial: NonNullable<FinialError['denial']>, why: string): FinialError {
  return new FinialError('permission-denied', why, { denial });
}
