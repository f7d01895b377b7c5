import { FinialError } from '../../../common/errors.ts';
import type { ServerStreamHandler } from '../../../common/rpc/call.ts';
import type { Hint } from '../../../proto/gen/finial/agent/v1/Hint.ts';
import type { WatchRequest__Output } from '../../../proto/gen/finial/agent/v1/WatchRequest.ts';
import { callerIdOf, stateOf } from '../call-state.ts';
import { type AgentCheckDeps, requireAgent } from '../interceptors/authorize.ts';
import type { ChangeStreams } from './change-streams.ts';

/** An empty message is no bytes. */
const HINT = Buffer.alloc(0);

/**
 * Hints to the calling agent that it should synchronise: one at once, which says that the server listens, and one after
 * each change that may concern it. The agent is checked again before each, and whenever its node changes.
 */
export function watch(
  deps: AgentCheckDeps & { readonly streams: ChangeStreams },
): ServerStreamHandler<WatchRequest__Output, Hint> {
  return async function* (_request, call) {
    const state = stateOf(call);
    const stream = deps.streams.join(callerIdOf(state), call.signal);
    try {
      yield HINT;
      for (;;) {
        const turn = await stream.next();
        if (turn === 'over' || turn === 'aged') return;
        if (turn === 'displaced') throw new FinialError('aborted', 'the agent has opened a newer stream');
        await requireAgent(call.method, state, deps);
        if (turn === 'hint') yield HINT;
      }
    } finally {
      stream.leave();
    }
  };
}
