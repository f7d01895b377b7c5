import http, { type IncomingMessage } from 'node:http';
import type tls from 'node:tls';
import { FinialError, messageOf } from '../../common/errors.ts';

/** What an endpoint answered: where to look instead, or the document. */
export type EndpointAnswer = { readonly location: string } | { readonly body: Buffer };

const REDIRECTS = [301, 302, 303, 307, 308];

/**
 * One GET over a connection that is used for nothing else and closed afterwards.
 *
 * @throws FinialError `unavailable` for any other status than 200 and redirects, and when the connection breaks;
 *   `resource-exhausted` for a document of more than `maxBytes`
 */
export async function getOver(
  socket: tls.TLSSocket,
  url: URL,
  { signal, maxBytes }: { readonly signal: AbortSignal; readonly maxBytes: number },
): Promise<EndpointAnswer> {
  try {
    const response = await request(socket, url, signal);
    const { statusCode: status = 0, headers } = response;
    if (REDIRECTS.includes(status) && headers.location !== undefined) return { location: headers.location };
    if (status !== 200) throw new FinialError('unavailable', `the bundle endpoint answered with status ${status}`);
    return { body: await read(response, maxBytes) };
  } catch (error) {
    if (error instanceof FinialError) throw error;
    throw new FinialError('unavailable', `the bundle endpoint broke off: ${messageOf(error)}`, { cause: error });
  } finally {
    socket.destroy();
  }
}

function request(
  socket: tls.TLSSocket,
  { host, pathname, search }: URL,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = http.request({
      ...{ createConnection: () => socket, path: `${pathname}${search}`, signal, setHost: false },
      headers: { host, accept: 'application/json', 'accept-encoding': 'identity', connection: 'close' },
    });
    sent.once('response', resolve);
    // Stays on: an aborted request emits another error after its response has begun.
    sent.on('error', reject);
    sent.end();
  });
}

async function read(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const encoding = response.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity')
    throw new FinialError('unavailable', 'the bundle came in an encoding that was not asked for');
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBytes) throw new FinialError('resource-exhausted', `the bundle is larger than ${maxBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
