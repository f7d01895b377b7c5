import { once } from 'node:events';
import { authorizeId } from '../../../client/authorize.ts';
import { connectMtls } from '../../../client/mtls.ts';
import { workloadApi } from '../../../client/workload-api.ts';
import { createX509Source } from '../../../client/x509-source.ts';
import { messageOf } from '../../../common/errors.ts';
import { parseSpiffeId } from '../../../spiffe/id.ts';
import { say, sayIdentity } from './say.ts';

/**
 * The demo's second workload: calls the first one over mTLS, insisting on its SPIFFE ID, and shows it a JWT-SVID.
 * Arguments: port, the SPIFFE ID that the server must have, the audience of the token.
 */
const [port = '', expected = '', audience = ''] = process.argv.slice(2);
const api = workloadApi();
const source = await createX509Source(api, { signal: AbortSignal.timeout(15_000) });
sayIdentity('identity', source.svid);
try {
  const authorize = authorizeId(parseSpiffeId(expected));
  const { socket, peerId } = await connectMtls(source, { host: '127.0.0.1', port: Number(port), authorize });
  const [svid] = await api.fetchJwtSvids({ audience: [audience] });
  if (svid === undefined) throw new Error('the agent gave no token');
  socket.setEncoding('utf8');
  socket.write(svid.token);
  const [answer] = await once(socket, 'data');
  say({ event: 'answer', peer: peerId, protocol: socket.getProtocol(), answer: String(answer) });
} catch (error) {
  say({ event: 'failed', why: messageOf(error) });
  process.exitCode = 1;
} finally {
  source.close();
  api.close();
}
