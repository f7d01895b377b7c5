import type { PeerProcess } from '../../common/net/peer-process.ts';
import type { Call, PeerCertificate } from '../../common/rpc/call.ts';
import { FinialError } from '../../common/errors.ts';
import type { LogFields, Logger } from '../../common/log/logger.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import type { MethodPolicy, Role } from './policy.ts';

/** Who calls, as the connection proves it. */
export type Caller =
  | { readonly kind: 'local'; readonly process: PeerProcess | undefined }
  | { readonly kind: 'anonymous'; readonly address: string; readonly port: number }
  | {
      readonly kind: 'identified';
      readonly address: string;
      readonly port: number;
      readonly id: SpiffeId;
      readonly certificate: PeerCertificate;
    };

/** Why a call was let in, as the log names it. */
export interface Authorization {
  readonly as: 'nobody' | Role;
  readonly via: '' | 'transport' | 'config' | 'entries' | 'datastore';
}

/** Collects what the audit log says of a call. Does nothing when auditing is off. */
export interface Audit {
  /** Adds fields to the line of the call. */
  add(fields: LogFields): void;
  /** Writes the line of one item of a batch. */
  item(status: { readonly code: number; readonly message: string }, fields: LogFields): void;
}

/** For calls that leave no trace in the audit log. */
export const noAudit: Audit = { add: () => undefined, item: () => undefined };

/** What the interceptors found out about a call; handlers read it. */
export interface CallState {
  readonly policy: MethodPolicy;
  /** Names the request, service and method, and the caller once known. */
  log: Logger;
  caller: Caller;
  authorization: Authorization;
  /**
   * Takes `count` tokens from the caller's rate limit, waiting until there are as many.
   *
   * @throws FinialError `resource-exhausted` when there can never be as many; the signal's reason on abort
   */
  limit(count: number): Promise<void>;
  audit: Audit;
}

/** By the call object, which the server hands to interceptors and handler alike. */
const states = new WeakMap<Call, CallState>();

/** Attaches its state to a call; the first interceptor does. */
export function beginState(call: Call, state: CallState): void {
  states.set(call, state);
}

/** @throws FinialError `internal` when the interceptors did not run, which is a defect of the composition */
export function stateOf(call: Call): CallState {
  const state = states.get(call);
  if (state === undefined) throw new FinialError('internal', 'the call was not prepared');
  return state;
}

/** The caller's ID. @throws FinialError `internal` where policy lets in callers without one; a defect of the policy */
export function callerIdOf(state: CallState): SpiffeId {
  if (state.caller.kind === 'identified') return state.caller.id;
  throw new FinialError('internal', 'caller ID missing from request context');
}
