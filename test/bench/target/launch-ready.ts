import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../../common/errors.ts';
import { connectUnix, type RpcChannel } from '../../../common/rpc/client.ts';
import { bundleService, healthService, workloadService } from '../../../common/rpc/services.ts';
import type { LaunchedProcess } from './launch-process.ts';

/** When a process that was just started became of use; milliseconds since its start. */
export interface Started {
  /** Its Unix socket took a connection. */
  readonly listeningMs: number;
  /** It answered a first call that needs its data: the bundle of a server, the Workload API of an agent. */
  readonly answeredMs: number;
  /** It called itself healthy (grpc.health.v1). */
  readonly healthyMs: number;
}

/** What an agent is waited for. */
export interface AgentExpectation {
  /** There is an entry for the bench's own process, so that the agent's answer is its SVID and no refusal. */
  readonly needsIdentity?: boolean;
}

/** Between two attempts; fine enough for starts of some 100 ms, and the load of it is not seen. */
const PAUSE_MS = 5;
const CALL_TIMEOUT_MS = 10_000;

/** Calls of the Workload API need it. */
const WORKLOAD_HEADER = { 'workload.spiffe.io': 'true' } as const;

/**
 * Waits until a started process serves.
 *
 * @param patienceMs after which it is given up
 * @throws Error with the end of its log
 */
export async function untilServing(
  daemon: LaunchedProcess,
  kind: 'server' | 'agent',
  socketPath: string,
  patienceMs: number,
  { needsIdentity = false }: AgentExpectation = {},
): Promise<Started> {
  const start = performance.now();
  const passed = async (attempt: () => Promise<boolean>): Promise<number> => {
    while (!(await attempt())) {
      const failure = daemon.failure();
      if (failure !== undefined) throw failure;
      if (performance.now() - start > patienceMs) {
        throw new Error(
          `${daemon.name} does not serve after ${patienceMs} ms; its log ends with:\n${daemon.logTail()}`,
        );
      }
      await sleep(PAUSE_MS);
    }
    return performance.now() - start;
  };
  const listeningMs = await passed(() => connects(socketPath));
  const channel = connectUnix(socketPath, { maxReconnectMs: PAUSE_MS });
  try {
    const answers = (): Promise<boolean> =>
      kind === 'server' ? serverAnswers(channel) : agentAnswers(channel, needsIdentity);
    const answeredMs = await passed(answers);
    const healthyMs = await passed(async () => {
      const { status } = await channel.call(healthService(), 'Check', {}, { timeoutMs: CALL_TIMEOUT_MS });
      return status === 'SERVING';
    });
    return { listeningMs, answeredMs, healthyMs };
  } finally {
    channel.close();
  }
}

async function connects(socketPath: string): Promise<boolean> {
  const socket = net.connect(socketPath);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    // Not there yet, or the leftover of a process that was killed.
    return false;
  } finally {
    socket.destroy();
  }
}

async function serverAnswers(channel: RpcChannel): Promise<boolean> {
  const bundle = await channel.call(bundleService(), 'GetBundle', {}, { timeoutMs: CALL_TIMEOUT_MS });
  return bundle.x509_authorities.length > 0;
}

/** Without entries for us, an agent that works says so by PermissionDenied; unless they are there, it answers then too. */
export async function agentAnswers(channel: RpcChannel, needsIdentity: boolean): Promise<boolean> {
  const options = { metadata: WORKLOAD_HEADER, timeoutMs: CALL_TIMEOUT_MS };
  try {
    for await (const _first of channel.serverStream(workloadService(), 'FetchX509SVID', {}, options)) return true;
    return false;
  } catch (error) {
    if (hasCode(error, 'permission-denied')) return !needsIdentity;
    if (hasCode(error, 'unavailable')) return false;
    throw error;
  }
}
