import { once } from 'node:events';
import { authorizeId, connectTls, createJwtSource, createX509Source, workloadApi } from '../../../client/index.ts';
import { say, sayIdentity } from './say.ts';

/**
 * The demo's second workload: calls the first one over mTLS, insisting on its SPIFFE ID, and shows it a JWT-SVID.
 * Arguments: port, the SPIFFE ID that the server must have, the audience of the token.
 */
const [port = '', expected = '', audience = ''] = process.argv.slice(2);
const api = workloadApi();
const source = await createX509Source({ api, timeoutMs: 15_000 });
const tokens = await createJwtSource({ api, timeoutMs: 15_000 });
sayIdentity('identity', source.svid);
try {
  const authorize = authorizeId(expected);
  const { socket, peerId } = await connectTls(source, { host: '127.0.0.1', port: Number(port), authorize });
  const { token } = await tokens.fetch({ audience });
  socket.setEncoding('utf8');
  socket.write(token);
  const [answer] = await once(socket, 'data');
  say({ event: 'answer', peer: peerId, protocol: socket.getProtocol(), answer: String(answer) });
} catch (error) {
  say({ event: 'failed', why: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
} finally {
  tokens.close();
  source.close();
  api.close();
}
