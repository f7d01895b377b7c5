import { readlinkSync } from 'node:fs';
import type { ErrorCode } from '../../../common/errors.ts';
import type { LogFields, Logger } from '../../../common/log/logger.ts';
import type { PeerProcess } from '../../../common/net/peer-process.ts';
import type { Interceptor } from '../../../common/rpc/call.ts';
import { errorCode } from '../../../common/rpc/status.ts';
import { FinialError } from '../../../common/errors.ts';
import { stateOf } from '../call-state.ts';

const MESSAGE = 'API accessed';

/** Writes who did what, and how it ended, as one line per call or, for batches, per item. */
export function auditCalls(): Interceptor {
  return async (call) => {
    const state = stateOf(call);
    const process = state.caller.kind === 'local' ? processFields(state.caller.process) : {};
    const log = state.log.with({ ...process, type: 'audit' });
    let fields: LogFields = {};
    state.audit = {
      add(more) {
        fields = { ...fields, ...more };
      },
      item: ({ code, message }, more) => write(log, more, code === 0 ? undefined : { code: errorCode(code), message }),
    };
    return ({ error }) => {
      if (error !== undefined || state.policy.audit === 'call') write(log, fields, error);
    };
  };
}

function write(log: Logger, fields: LogFields, failure: { code: ErrorCode; message: string } | undefined): void {
  const status =
    failure === undefined
      ? { status: 'success' }
      : { status: 'error', status_code: codeName(failure.code), status_message: failure.message };
  log.info(MESSAGE, { ...status, ...fields });
}

/** The reference's spelling: `invalid-argument` is `InvalidArgument`. */
function codeName(code: ErrorCode): string {
  // gRPC in Go spells this one with one l.
  if (code === 'cancelled') return 'Canceled';
  return code.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** An audited call from an unknown process must not go on. */
function processFields(process: PeerProcess | undefined): LogFields {
  if (process === undefined) throw new FinialError('internal', 'caller of the admin socket is not tracked');
  const path = executableOf(process.pid);
  if (!process.isSame()) throw new FinialError('internal', 'caller of the admin socket is gone');
  return {
    caller_uid: process.uid,
    caller_gid: process.gid,
    ...(path === undefined ? {} : { caller_path: path }),
  };
}

function executableOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    // Of a process in another PID namespace the path cannot be read; the other fields still name the caller.
    return undefined;
  }
}
