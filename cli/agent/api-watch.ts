import { backoffDelay } from '../../common/backoff.ts';
import { type CommandIo, defineCommand } from '../../common/cli/command.ts';
import { systemClock } from '../../common/clock.ts';
import type { RpcChannel } from '../../common/rpc/client.ts';
import { workloadService } from '../../common/rpc/services.ts';
import { callText } from '../failure.ts';
import { interruptSignal } from '../interrupt.ts';
import { securityHeader, withAgent } from './connection.ts';
import { connectionFlags } from './flags.ts';
import { receivedSvids, svidsText } from './svid-print.ts';

/** The waits between attempts that clients of the reference have. */
const RETRY = { initial: 1000, factor: 1.5, max: 30_000, jitter: 0.1 };

export const apiWatch = defineCommand({
  name: 'api watch',
  synopsis: "Attaches to the Workload API and prints updates as they're received",
  bareErrors: true,
  flags: connectionFlags,
  run: (flags, io) =>
    withAgent(flags, io.env, async (agent) => {
      const signal = interruptSignal();
      for (let failures = 0; !signal.aborted; failures += 1) {
        if ((await follow(agent, io, signal)) > 0) failures = 0;
        const wait = backoffDelay(RETRY, failures, Math.random);
        // An interrupt ends the wait early, and the loop with it.
        if (!signal.aborted) await systemClock.sleep(wait, signal).catch(() => undefined);
      }
      return 1;
    }),
});

/** Prints updates until the stream breaks; resolves to how many there were. */
async function follow(agent: RpcChannel, io: CommandIo, signal: AbortSignal): Promise<number> {
  let count = 0;
  let started = systemClock.steady();
  try {
    const options = { signal, metadata: securityHeader };
    for await (const response of agent.serverStream(workloadService(), 'FetchX509SVID', {}, options)) {
      io.out(svidsText(receivedSvids(response, systemClock.now()), systemClock.steady() - started, 'watch'));
      count += 1;
      started = systemClock.steady();
    }
  } catch (error) {
    io.err(`${callText(error)}\n`);
  }
  return count;
}
