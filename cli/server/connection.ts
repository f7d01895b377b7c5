import { connectUnix, type RpcChannel } from '../../common/rpc/client.ts';
import { resolveSocketPath } from '../socket-path.ts';

export const DEFAULT_SERVER_SOCKET = '/tmp/spire-server/private/api.sock';

const naming = {
  defaultPath: DEFAULT_SERVER_SOCKET,
  variable: 'SPIRE_SERVER_PRIVATE_SOCKET',
  templateVariable: 'SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE',
};

/** Runs `use` over a connection to the server's admin socket and closes it afterwards. */
export async function withServer<T>(
  flags: { readonly socketPath: string; readonly instance: string },
  env: Readonly<Record<string, string | undefined>>,
  use: (server: RpcChannel) => Promise<T>,
): Promise<T> {
  const server = connectUnix(resolveSocketPath(naming, flags, env));
  try {
    return await use(server);
  } finally {
    server.close();
  }
}
