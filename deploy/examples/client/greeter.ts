import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** What one call of Greet gives. */
export interface Greeting {
  readonly text: string;
}

/** The generated parts of greeter.proto that the two programs use. */
interface Greeter {
  readonly service: grpc.ServiceDefinition;
  new (
    address: string,
    credentials: grpc.ChannelCredentials,
  ): grpc.Client & { greet(request: object): grpc.ClientReadableStream<Greeting> };
}

const file = fileURLToPath(new URL('../../../../deploy/examples/client/greeter.proto', import.meta.url));
const loaded = grpc.loadPackageDefinition(loadSync(file)) as unknown as {
  readonly finial: { readonly examples: { readonly Greeter: Greeter } };
};

export const { Greeter } = loaded.finial.examples;
