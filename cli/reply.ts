import type { CommandIo } from '../common/cli/command.ts';
import { jsonText, protoJson, responseMessage } from '../common/rpc/json.ts';
import type { OutputOf, ResponseOf, ServiceRef } from '../common/rpc/service.ts';
import type { JsonValue } from '../common/rpc/struct.ts';

/** Prints a reply as one line of JSON, or as `pretty` does. Only the one that is asked for is made. */
export function printReply(io: CommandIo, output: 'pretty' | 'json', json: () => JsonValue, pretty: () => void): void {
  if (output === 'json') io.out(`${jsonText(json())}\n`);
  else pretty();
}

/** The JSON form of what `method` answers. */
export function replyJson<D, M extends keyof D & string>(
  service: ServiceRef<D>,
  method: M,
  reply: ResponseOf<D[M]> | OutputOf<D[M]>,
): JsonValue {
  return protoJson(responseMessage(service, method), reply);
}
