import * as grpc from '@grpc/grpc-js';
import { authorizeId, createX509Source, grpcPeerId, listenGrpc } from 'finial/client';
import { Greeter, type Greeting } from './greeter.ts';

// A gRPC service over mutual TLS whose certificate rotates while streams are open. Arguments: the SPIFFE ID of its
// client, the port.
const [admitted = '', port = '50051'] = process.argv.slice(2);

const source = await createX509Source();
source.onUpdate(() => console.log('rotated'));

const server = new grpc.Server();
server.addService(Greeter.service, {
  greet(call: grpc.ServerWritableStream<object, Greeting>) {
    const timer = setInterval(() => call.write({ text: `hello ${grpcPeerId(call)}` }), 200);
    call.on('cancelled', () => clearInterval(timer));
  },
});
await listenGrpc(grpc, server, source, { authorize: authorizeId(admitted), host: '127.0.0.1', port: Number(port) });
console.log('listening');
