// A TLS peer that verifies nothing: when a handshake with it fails, it was the other side that refused.
//   stranger.mjs call ADDRESS [FOLDER]            without FOLDER no client certificate is sent
//   stranger.mjs serve ADDRESS FOLDER ANSWER      answers as an honest server would
// FOLDER holds svid.pem and key.pem. A caller prints "answered LINE" or "not answered: WHY".
import { readFileSync } from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';

const [job, address = '', folder, answer] = process.argv.slice(2);
const [host, port] = address.split(':');
const read = (name) => readFileSync(path.join(folder, name));
const credentials = folder === undefined ? {} : { cert: read('svid.pem'), key: read('key.pem') };

if (job === 'serve') {
  const server = tls.createServer({ ...credentials, requestCert: true, rejectUnauthorized: false });
  server.on('tlsClientError', (error) => console.log(`not answered: ${error.message}`));
  server.on('secureConnection', (socket) => {
    socket.on('error', (error) => console.log(`not answered: ${error.message}`));
    socket.end(`${answer}\n`);
  });
  server.listen(Number(port), host, () => console.log('serving'));
} else {
  let reply = '';
  let why = 'the connection was closed';
  const socket = tls.connect({ host, port: Number(port), ...credentials, rejectUnauthorized: false });
  socket.setEncoding('utf8').on('data', (text) => (reply += text));
  socket.on('error', (error) => (why = error.message));
  socket.on('close', () => console.log(reply === '' ? `not answered: ${why}` : `answered ${reply.trim()}`));
}
