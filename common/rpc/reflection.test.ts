import { afterEach, describe, expect, it } from 'vitest';
import type { ServerReflectionRequest } from '../../proto/gen/grpc/reflection/v1/ServerReflectionRequest.ts';
import { rpcPair } from '../../test/support/rpc-pair.ts';
import { fileDescriptorsOf } from './file-descriptor.ts';
import { implementReflection } from './reflection.ts';
import { entryService, reflectionService, reflectionServiceAlpha, workloadService } from './services.ts';

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** The answers to some questions, by one of the two services. */
async function ask(questions: readonly ServerReflectionRequest[], service = reflectionService()) {
  const pair = await rpcPair(implementReflection([workloadService(), entryService()]));
  open.push(() => pair.close());
  const call = pair.channel.bidi(service, 'ServerReflectionInfo', { timeoutMs: 5000 });
  for (const question of questions) await call.send(question);
  call.end();
  const answers = [];
  for await (const answer of call.responses) answers.push(answer);
  return answers;
}

const fileOf = (symbol: string): ServerReflectionRequest => ({ file_containing_symbol: symbol });

describe('server reflection', () => {
  it.each([reflectionService(), reflectionServiceAlpha()])('lists all services by $name', async (service) => {
    const [answer] = await ask([{ host: 'h', list_services: '' }], service);
    expect(answer).toMatchObject({ valid_host: 'h', original_request: { host: 'h', list_services: '' } });
    expect(answer?.list_services_response?.service.map(({ name }) => name)).toEqual([
      'SpiffeWorkloadAPI',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      'spire.api.server.entry.v1.Entry',
    ]);
  });

  it('gives the file of a service, a method, a message and a nested message, with what it imports', async () => {
    const symbols = [
      'SpiffeWorkloadAPI',
      'SpiffeWorkloadAPI.FetchX509SVID',
      'X509SVIDResponse',
      'X509SVIDResponse.FederatedBundlesEntry',
    ];
    const expected = fileDescriptorsOf('workload.proto').map(({ bytes }) => bytes);
    for (const answer of await ask(symbols.map(fileOf))) {
      expect(new Set(answer.file_descriptor_response?.file_descriptor_proto)).toEqual(new Set(expected));
    }
    expect(expected).toHaveLength(2);
  });

  it('gives a file by its name, and answers questions in their order', async () => {
    const names = ['workload.proto', 'no.proto', 'grpc/reflection/v1/reflection.proto'];
    const answers = await ask(names.map((name) => ({ file_by_filename: name })));
    expect(answers.map(({ message_response }) => message_response)).toEqual([
      'file_descriptor_response',
      'error_response',
      'file_descriptor_response',
    ]);
  });

  it('finds no extensions, and nothing that is not there', async () => {
    const answers = await ask([
      { all_extension_numbers_of_type: 'X509SVID' },
      { all_extension_numbers_of_type: 'Nothing' },
      { file_containing_extension: { containing_type: 'X509SVID', extension_number: 1 } },
      fileOf('Nothing'),
      {},
    ]);
    const notFound = { error_response: { error_code: 5, error_message: 'not found' } };
    expect(answers).toMatchObject([
      { all_extension_numbers_response: { base_type_name: 'X509SVID', extension_number: [] } },
      notFound,
      notFound,
      notFound,
      { error_response: { error_code: 3 } },
    ]);
  });
});
