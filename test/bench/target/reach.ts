import { FinialError, messageOf } from '../../../common/errors.ts';
import { connectUnix, type RpcChannel } from '../../../common/rpc/client.ts';
import { connectPeer } from '../load/run.ts';
import { serverBundle } from '../seed/api.ts';
import { serverPeer } from '../rows/messages.ts';
import { programIn } from './launch-process.ts';
import { agentAnswers } from './launch-ready.ts';
import type { TargetAddress } from './parse.ts';
import { listenerPid } from './process.ts';

/**
 * Looks whether a target is there, before rows are measured one by one.
 *
 * @returns it, with the sockets that came without a key named for what answers on them
 * @throws FinialError `unavailable` that says which address does not answer, and why
 */
export async function reachTarget(target: TargetAddress): Promise<TargetAddress> {
  const { sockets = [], ...rest } = target;
  let found: TargetAddress = rest;
  for (const socket of sockets) {
    let key: 'admin' | 'agent' = 'agent';
    await part(target, socket, async () => (key = await apiBehind(socket)));
    if (found[key] !== undefined) throw unreachable(target, `${socket} is a second ${key} socket`);
    found = { ...found, [key]: socket };
  }
  const { admin, agent, bin, server } = found;
  if (bin !== undefined) {
    for (const name of ['spire-server', 'spire-agent']) await part(target, `bin=${bin}`, () => programIn(bin, name));
    return found;
  }
  if (admin === undefined) {
    throw unreachable(target, 'needs admin=SOCKET of the server too, to make entries and join tokens');
  }
  await part(target, `admin=${admin} (the socket_path of the server)`, () => adminAnswers(admin));
  if (server !== undefined) await part(target, `server=${server}`, () => serverAnswers(server, admin));
  if (agent !== undefined)
    await part(target, `agent=${agent} (the socket_path of the agent)`, () => agentServes(agent));
  return found;
}

/** Asks a socket which API it speaks. */
async function apiBehind(socket: string): Promise<'admin' | 'agent'> {
  await connectOnce(socket);
  const isAdmin = await onChannel(socket, serverBundle).then(
    () => true,
    () => false,
  );
  return isAdmin ? 'admin' : 'agent';
}

/** A channel would wait for a listener that is not there; this says at once what is wrong. */
async function connectOnce(socket: string): Promise<void> {
  const pid = await listenerPid(socket);
  if (pid === 0) throw new Error('its process is in another PID namespace, where its CPU and memory cannot be read');
}

async function adminAnswers(socket: string): Promise<void> {
  await connectOnce(socket);
  await onChannel(socket, serverBundle);
}

async function serverAnswers(address: string, adminSocket: string): Promise<void> {
  const bundle = await onChannel(adminSocket, serverBundle);
  const connection = await connectPeer(serverPeer({ address }, bundle));
  connection.close();
}

/** An agent that has no identity for this process refuses, which is an answer. */
async function agentServes(socket: string): Promise<void> {
  await connectOnce(socket);
  if (!(await onChannel(socket, (channel) => agentAnswers(channel, false)))) throw new Error('no Workload API there');
}

async function onChannel<T>(socket: string, use: (channel: RpcChannel) => Promise<T>): Promise<T> {
  const channel = connectUnix(socket);
  try {
    return await use(channel);
  } finally {
    channel.close();
  }
}

/** Says which part of a target was not there. */
async function part(target: TargetAddress, what: string, attempt: () => unknown): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    throw unreachable(target, `${what}: ${messageOf(error)}`, error);
  }
}

function unreachable({ label }: TargetAddress, what: string, cause?: unknown): FinialError {
  return new FinialError('unavailable', `target ${label}: ${what}`, { cause });
}
