import { Metadata } from '@grpc/grpc-js';
import type { Status as RpcStatus, Status__Output as RpcStatusOutput } from '../../proto/gen/google/rpc/Status.ts';
import type {
  _spire_api_types_PermissionDeniedDetails_Reason__Output as Reason,
  PermissionDeniedDetails,
  PermissionDeniedDetails__Output,
} from '../../proto/gen/spire/api/types/PermissionDeniedDetails.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { type DenialReason, type ErrorCode, FinialError, messageOf, toFinialError } from '../errors.ts';
import type { Logger } from '../log/logger.ts';
import { explainConnectFailure } from './connect-failure.ts';
import { loadMessage } from './message.ts';

/** The one table between our error codes and gRPC status codes; for whole calls as for the items of a batch. */
const codes = {
  cancelled: 1,
  unknown: 2,
  'invalid-argument': 3,
  'deadline-exceeded': 4,
  'not-found': 5,
  'already-exists': 6,
  'permission-denied': 7,
  'resource-exhausted': 8,
  'failed-precondition': 9,
  aborted: 10,
  'out-of-range': 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  'data-loss': 15,
  unauthenticated: 16,
} as const satisfies Record<ErrorCode, number>;

const byNumber = new Map(Object.entries(codes).map(([code, number]) => [number as number, code as ErrorCode]));

const reasons = {
  'agent-expired': 'AGENT_EXPIRED',
  'agent-not-attested': 'AGENT_NOT_ATTESTED',
  'agent-not-active': 'AGENT_NOT_ACTIVE',
  'agent-banned': 'AGENT_BANNED',
  'agent-must-reattest': 'AGENT_MUST_REATTEST',
} as const satisfies Record<DenialReason, Reason>;

const denials = new Map(Object.entries(reasons).map(([denial, reason]) => [reason as Reason, denial as DenialReason]));

/** The gRPC status code of an error code. */
export function statusNumber(code: ErrorCode): number {
  return codes[code];
}

/** The error code of a gRPC status code other than 0; `unknown` for numbers that gRPC does not define. */
export function errorCode(statusNumber: number): ErrorCode {
  return byNumber.get(statusNumber) ?? 'unknown';
}

/** The status of one item of a batch, as `spire.api.types.Status` has it. */
export interface ItemStatus {
  readonly code: number;
  readonly message: string;
}

/** Of an item that went well. */
export const okItemStatus: ItemStatus = Object.freeze({ code: 0, message: 'OK' });

/** The status of a batch item that failed; what was not meant for callers is hidden as in a failed call. */
export function toItemStatus(thrown: unknown): ItemStatus {
  const { code, message } = publicError(thrown);
  return { code: codes[code], message };
}

/** The error that a batch item's status stands for, or nothing when it is OK. */
export function fromItemStatus(status: ItemStatus | null | undefined): FinialError | undefined {
  if (status === null || status === undefined || status.code === 0) return undefined;
  return new FinialError(errorCode(status.code), status.message);
}

/**
 * What a caller may know of a failure. Errors of ours are public by contract; anything else is a defect of ours, whose
 * text may hold anything: callers learn only that it happened.
 */
export function publicError(thrown: unknown): FinialError {
  return isExpected(thrown) ? toFinialError(thrown) : new FinialError('internal', 'internal error', { cause: thrown });
}

/** As `publicError`, and a defect is logged with its cause. */
export function reportedError(thrown: unknown, method: string, log: Logger): FinialError {
  if (!isExpected(thrown)) {
    const stack = thrown instanceof Error ? { stack: thrown.stack } : {};
    log.error('Unexpected error in handler', { method, error: messageOf(thrown), ...stack });
  }
  return publicError(thrown);
}

function isExpected(thrown: unknown): boolean {
  if (thrown instanceof FinialError || thrown instanceof SpiffeError) return true;
  return thrown instanceof Error && thrown.name === 'AbortError';
}

/** Trailer with a serialized google.rpc.Status, as gRPC's richer error model has it. */
const DETAILS_TRAILER = 'grpc-status-details-bin';
const DENIED = 'spire.api.types.PermissionDeniedDetails';

const rpcStatus = () => loadMessage<RpcStatus, RpcStatusOutput>('google/rpc/status.proto', 'google.rpc.Status');
const deniedDetails = () =>
  loadMessage<PermissionDeniedDetails, PermissionDeniedDetails__Output>('spire/api/types/status.proto', DENIED);

/** A status message travels in a header, and peers bound the size of their headers. */
const LONGEST_MESSAGE = 4096;

/** How a call ended, as the library has it. */
export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** The status that ends a failed call. */
export function toGrpcStatus(error: FinialError): GrpcStatus {
  const code = codes[error.code];
  const details = headerText(error.message);
  const metadata = new Metadata();
  if (error.denial !== undefined) {
    const value = deniedDetails().encode({ reason: reasons[error.denial] });
    const detail = { type_url: `type.googleapis.com/${DENIED}`, value };
    metadata.set(DETAILS_TRAILER, rpcStatus().encode({ code, message: details, details: [detail] }));
  }
  return { code, details, metadata };
}

/** Text that can be percent-encoded: cut to size, and lone surrogates replaced. */
function headerText(text: string): string {
  const cut = text.length > LONGEST_MESSAGE ? `${text.slice(0, LONGEST_MESSAGE - 3)}...` : text;
  return Buffer.from(cut, 'utf8').toString('utf8');
}

/** The error that a failed call's status stands for. */
export function fromGrpcStatus(status: Omit<GrpcStatus, 'metadata'> & Partial<GrpcStatus>): FinialError {
  const denial = denialOf(status.metadata);
  return new FinialError(
    errorCode(status.code),
    explainConnectFailure(status.details),
    denial === undefined ? {} : { denial },
  );
}

/** A trailer that cannot be read says nothing; the status code stands without it. */
function denialOf(metadata: Metadata | undefined): DenialReason | undefined {
  const [trailer] = metadata?.get(DETAILS_TRAILER) ?? [];
  if (!Buffer.isBuffer(trailer)) return undefined;
  try {
    for (const detail of rpcStatus().decode(trailer).details) {
      if (detail.type_url.endsWith(`/${DENIED}`)) return denials.get(deniedDetails().decode(detail.value).reason);
    }
  } catch {
    return undefined;
  }
  return undefined;
}
