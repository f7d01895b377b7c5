import type { ErrorCode } from '../errors.ts';
import type { ServerReflectionRequest__Output } from '../../proto/gen/grpc/reflection/v1/ServerReflectionRequest.ts';
import type { ServerReflectionResponse } from '../../proto/gen/grpc/reflection/v1/ServerReflectionResponse.ts';
import { type FileDescriptor, fileDescriptorsOf } from './file-descriptor.ts';
import { bidi, implement, type ImplementedService, type ServiceRef } from './service.ts';
import { reflectionService, reflectionServiceAlpha } from './services.ts';
import { statusNumber } from './status.ts';

type Request = ServerReflectionRequest__Output;
type Answer = Omit<ServerReflectionResponse, 'valid_host' | 'original_request'>;

/**
 * Server reflection (SPIFFE Workload Endpoint 7): tells tools such as grpcurl what this server serves, by both names that
 * the service has had.
 *
 * @param services what else the server serves
 */
export function implementReflection(
  services: readonly Pick<ServiceRef<unknown>, 'name' | 'protoFile'>[],
): ImplementedService[] {
  const all = [...services, reflectionService(), reflectionServiceAlpha()];
  let known: Catalogue | undefined;
  async function* answers(requests: AsyncIterable<Request>): AsyncGenerator<ServerReflectionResponse> {
    // Few agents are ever asked.
    known ??= catalogue(all);
    for await (const request of requests) {
      yield { valid_host: request.host, original_request: request, ...answer(request, known) };
    }
  }
  // Both versions have the same messages, under different names.
  return [
    implement(reflectionService(), { ServerReflectionInfo: bidi(answers) }),
    implement(reflectionServiceAlpha(), { ServerReflectionInfo: bidi(answers) }),
  ];
}

interface Catalogue {
  readonly services: readonly string[];
  readonly byName: ReadonlyMap<string, FileDescriptor>;
  readonly bySymbol: ReadonlyMap<string, FileDescriptor>;
}

function catalogue(services: readonly Pick<ServiceRef<unknown>, 'name' | 'protoFile'>[]): Catalogue {
  const byName = new Map<string, FileDescriptor>();
  const bySymbol = new Map<string, FileDescriptor>();
  for (const file of services.flatMap(({ protoFile }) => fileDescriptorsOf(protoFile))) {
    byName.set(file.name, file);
    for (const symbol of file.symbols) bySymbol.set(symbol, file);
  }
  return { services: services.map(({ name }) => name).sort(), byName, bySymbol };
}

function answer(request: Request, { services, byName, bySymbol }: Catalogue): Answer {
  switch (request.message_request) {
    case 'list_services':
      return { list_services_response: { service: services.map((name) => ({ name })) } };
    case 'file_by_filename':
      return files(byName.get(request.file_by_filename ?? ''), byName);
    case 'file_containing_symbol':
      return files(bySymbol.get(request.file_containing_symbol ?? ''), byName);
    case 'all_extension_numbers_of_type': {
      const type = request.all_extension_numbers_of_type ?? '';
      // Files of proto3 have no extensions.
      return bySymbol.has(type) ? { all_extension_numbers_response: { base_type_name: type } } : notFound();
    }
    case 'file_containing_extension':
      return notFound();
    case undefined:
    default:
      return failure('invalid-argument', 'nothing known was asked for');
  }
}

/** A file and everything it imports, so that tools need not ask again. */
function files(file: FileDescriptor | undefined, byName: ReadonlyMap<string, FileDescriptor>): Answer {
  if (file === undefined) return notFound();
  const wanted = new Set([file]);
  for (const { imports } of wanted) {
    for (const name of imports) {
      const imported = byName.get(name);
      if (imported !== undefined) wanted.add(imported);
    }
  }
  return { file_descriptor_response: { file_descriptor_proto: Array.from(wanted, ({ bytes }) => bytes) } };
}

function notFound(): Answer {
  return failure('not-found', 'not found');
}

function failure(code: ErrorCode, message: string): Answer {
  return { error_response: { error_code: statusNumber(code), error_message: message } };
}
