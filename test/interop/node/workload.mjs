// A workload in Node, which gets its identity from the agent at SPIFFE_ENDPOINT_SOCKET with the client of this repository.
// Its jobs are those of every language; see the README of the folder above.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { authorizeId, connectTls, createTlsServer, createX509Source, peerOf } from '../../../dist/client/index.js';

const LIMIT_MS = 10_000;

const [job, address = '', peer = '', ...numbers] = process.argv.slice(2);
if ((job !== 'serve' && job !== 'call') || peer === '') {
  console.log('usage: workload.mjs serve ADDRESS ALLOWED_ID | call ADDRESS EXPECTED_ID COUNT INTERVAL_MS');
  process.exit(2);
}
const [host, port] = address.split(':');
const source = await createX509Source();
const rotations = countRotations();
if (job === 'serve') serve();
else process.exitCode = await call(...numbers.map(Number));

/** Admits one SPIFFE ID over mTLS, and answers each connection with a line that holds the ID of the peer. */
function serve() {
  const options = {
    authorize: authorizeId(peer),
    onRefused: (error) => console.log(`refused: ${error.message}`),
  };
  const server = createTlsServer(source, options, (socket) => socket.end(`${peerOf(socket).id}\n`));
  server.listen(Number(port), host, () => console.log('serving'));
}

/** Opens a new connection each time, and expects one SPIFFE ID there and its own in the answer. */
async function call(count, intervalMs) {
  const certificates = new Set();
  let failed = 0;
  const start = performance.now();
  for (let i = 0; i < count; i += 1) {
    await sleep(start + i * intervalMs - performance.now());
    try {
      certificates.add(await exchange());
    } catch (error) {
      failed += 1;
      console.log(`failed: ${error.message}`);
    }
  }
  const seen = `rotations=${rotations()} peer_certificates=${certificates.size}`;
  console.log(`calls=${count} failed=${failed} ${seen}`);
  source.close();
  return failed === 0 ? 0 : 1;
}

/** One connection. Returns the serial number of the certificate that the server showed. */
async function exchange() {
  const authorize = authorizeId(peer);
  const { socket } = await connectTls(source, { host, port: Number(port), authorize });
  try {
    const { serialNumber } = socket.getPeerCertificate();
    let reply = '';
    socket.setEncoding('utf8').on('data', (text) => (reply += text));
    await once(socket, 'end', { signal: AbortSignal.timeout(LIMIT_MS) });
    if (reply.trim() !== source.svid.id) throw new Error(`the server answered ${JSON.stringify(reply)}`);
    return serialNumber;
  } finally {
    socket.destroy();
  }
}

/** Prints a line for each certificate that follows the first one. Returns how many there were. */
function countRotations() {
  let count = 0;
  let last = source.svid.chain[0];
  source.onUpdate(() => {
    const now = source.svid.chain[0];
    if (now.equals(last)) return;
    last = now;
    count += 1;
    if (job === 'serve') console.log('rotated');
  });
  return () => count;
}
