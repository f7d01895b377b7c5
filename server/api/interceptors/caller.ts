import type { Interceptor, Peer } from '../../../common/rpc/call.ts';
import { type Caller, stateOf } from '../call-state.ts';

/** Derives the caller from what the listener proved about the connection, and names it in the log. */
export function identifyCaller(): Interceptor {
  return async (call) => {
    const state = stateOf(call);
    const caller = callerOf(call.peer);
    state.caller = caller;
    if (caller.kind === 'local') return undefined;
    const id = caller.kind === 'identified' ? { caller_id: caller.id } : {};
    state.log = state.log.with({ caller_addr: formatAddress(caller.address, caller.port), ...id });
    return undefined;
  };
}

function callerOf(peer: Peer): Caller {
  if (peer.transport === 'unix') return { kind: 'local', process: peer.process };
  const { address, port, certificate } = peer;
  if (certificate === undefined) return { kind: 'anonymous', address, port };
  return { kind: 'identified', address, port, id: certificate.id, certificate };
}

/** As Go prints the address of a connection. */
export function formatAddress(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
