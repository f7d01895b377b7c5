import { authorizeId } from '../../../client/authorize.ts';
import { createMtlsServer } from '../../../client/mtls.ts';
import { workloadApi } from '../../../client/workload-api.ts';
import { createX509Source } from '../../../client/x509-source.ts';
import { messageOf } from '../../../common/errors.ts';
import { parseSpiffeId } from '../../../spiffe/id.ts';
import { say, sayIdentity } from './say.ts';

/**
 * The demo's first workload: serves over mTLS, admits one client by its SPIFFE ID, and lets the agent judge the JWT-SVID
 * that the client sends. Argument: the SPIFFE ID to admit.
 */
const admitted = parseSpiffeId(process.argv[2] ?? '');
const api = workloadApi();
const source = await createX509Source(api, { signal: AbortSignal.timeout(15_000) });
const me = source.svid.id;
sayIdentity('identity', source.svid);
source.onUpdate(() => sayIdentity('rotated', source.svid));

const server = createMtlsServer(source, {
  authorize: authorizeId(admitted),
  onRefused: (error) => say({ event: 'refused', why: error.message }),
  onConnection: ({ socket, peerId }) => {
    say({ event: 'peer', id: peerId });
    socket.setEncoding('utf8');
    socket.once('data', (token: string) => {
      api
        .validateJwtSvid(token, me)
        .then(({ id }) => socket.end(`hello ${peerId}, your token says ${id}`))
        .catch((error: unknown) => socket.end(`token refused: ${messageOf(error)}`));
    });
  },
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  say({ event: 'listening', port: typeof address === 'object' ? address?.port : undefined });
});
