import { duration, output, text } from '../../common/cli/flags.ts';
import { DEFAULT_AGENT_SOCKET } from './connection.ts';

/** Flags of every command that calls the Workload API. */
export const connectionFlags = {
  socketPath: text(DEFAULT_AGENT_SOCKET, 'Path of the public socket of the agent'),
  instance: text('', 'Name put in place of %i in SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE to find the socket'),
};

/** Flags of commands that make one call and print its reply. */
export const replyFlags = {
  ...connectionFlags,
  timeout: duration(5000, 'Time to wait for a response; 0 for no limit'),
  output: output(),
};
