import {
  authorizeId,
  createTlsServer,
  createX509Source,
  type FinialError,
  peerIdOf,
  workloadApi,
} from '../../../client/index.ts';
import { say, sayIdentity } from './say.ts';

/**
 * The demo's first workload: serves over mTLS, admits one client by its SPIFFE ID, and lets the agent judge the JWT-SVID
 * that the client sends. Argument: the SPIFFE ID to admit.
 */
const [admitted = ''] = process.argv.slice(2);
const api = workloadApi();
const source = await createX509Source({ api, timeoutMs: 15_000 });
const me = source.svid.id;
sayIdentity('identity', source.svid);
source.onUpdate(() => sayIdentity('rotated', source.svid));

const onRefused = ({ message }: FinialError): void => say({ event: 'refused', why: message });
const server = createTlsServer(source, { authorize: authorizeId(admitted), onRefused }, (socket) => {
  const peerId = peerIdOf(socket);
  say({ event: 'peer', id: peerId });
  socket.setEncoding('utf8');
  socket.once('data', (token: string) => {
    api
      .validateJwtSvid(token, me)
      .then(({ id }) => socket.end(`hello ${peerId}, your token says ${id}`))
      .catch((error: unknown) =>
        socket.end(`token refused: ${error instanceof Error ? error.message : String(error)}`),
      );
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  say({ event: 'listening', port: typeof address === 'object' ? address?.port : undefined });
});
