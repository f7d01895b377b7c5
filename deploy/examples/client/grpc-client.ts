import * as grpc from '@grpc/grpc-js';
import { authorizeId, createX509Source, grpcCredentials } from 'finial/client';
import { Greeter, type Greeting } from './greeter.ts';

// Listens to greetings until its own certificate has rotated, over one connection. Arguments: address, the SPIFFE ID of
// the server.
const [address = '', expected = ''] = process.argv.slice(2);

using source = await createX509Source();
const credentials = grpcCredentials(grpc, source, { authorize: authorizeId(expected) });
const client = new Greeter(address, credentials);
const rotated = new Promise<void>((resolve) => void source.onUpdate(resolve));

const stream = client.greet({});
let greetings = 0;
stream.on('data', ({ text }: Greeting) => {
  greetings += 1;
  if (greetings === 1) console.log(text);
});
// Cancelling ends a stream with an error that says so.
stream.on('error', (error) => greetings === 0 && console.error(error.message));
await rotated;
stream.once('data', () => {
  console.log(`still greeted after a rotation: ${greetings > 1}`);
  stream.cancel();
  client.close();
});
