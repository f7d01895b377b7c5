import http from 'node:http';
import { authenticatedPeer, authorizeTrustDomain, createJwtSource, nodeAuthentication } from 'finial/client';

// Serves whoever shows a JWT-SVID of the trust domain that is meant for this service. Behind something that terminates
// TLS: a token must never travel in the clear. Arguments: audience, trust domain, port.
const [audience = '', trustDomain = '', port = '8080'] = process.argv.slice(2);

const source = await createJwtSource();
const authenticate = nodeAuthentication({
  jwt: { source, audience },
  authorize: authorizeTrustDomain(trustDomain),
  onRefused: ({ message }) => console.error(`refused: ${message}`),
});
const server = http.createServer((request, response) => {
  authenticate(request, response, () => response.end(`hello ${authenticatedPeer(request).id}\n`));
});
server.listen(Number(port), '127.0.0.1', () => console.log('listening'));
