import { authorizeId, createHttpsServer, createX509Source, peerIdOf } from 'finial/client';

// Serves over mutual TLS and admits one workload. Arguments: its SPIFFE ID, the port.
const [admitted = '', port = '8443'] = process.argv.slice(2);

const source = await createX509Source();
const server = createHttpsServer(source, { authorize: authorizeId(admitted) }, (request, response) => {
  response.end(`hello ${peerIdOf(request)}\n`);
});
server.listen(Number(port), () => console.log(`${source.svid.id} is listening`));
