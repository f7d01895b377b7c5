import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { bundleToSpiffeJson, type SpiffeJsonOptions } from '../../spiffe/bundle/json.ts';
import { toFinialError, type FinialError } from '../../common/errors.ts';
import { endpointUrl } from './endpoint.ts';

/** What a bundle endpoint says, and where. */
export interface BundleHandlerOptions extends SpiffeJsonOptions {
  /** The one path that answers; `/` when absent. A query is not looked at. */
  readonly path?: string;
  /** Hears why a request got no bundle; clients learn only that they got none. */
  readonly onError?: (error: FinialError) => void;
}

/** Answers one request of `node:http` or `node:https`. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Publishes a bundle (SPIFFE Federation 5.2.1.3, 5.2.2.3): every GET gets the newest, as a SPIFFE bundle document with
 * its sequence number and refresh hint. To be served over TLS, without client authentication: see `serveBundle`.
 * Other methods get 405 and other paths 404; HEAD is another method, as in the reference.
 *
 * @param bundle the bundle of this moment; asked for each request
 */
export function bundleHandler(
  bundle: () => Bundle | Promise<Bundle>,
  options: BundleHandlerOptions = {},
): RequestHandler {
  const { path = '/', onError = () => undefined, ...document } = options;
  const newest = async (response: ServerResponse): Promise<void> => {
    const body = Buffer.from(bundleToSpiffeJson(await bundle(), document));
    // Nobody between us and the client may answer in our place with an older one.
    const headers = { 'content-type': 'application/json', 'content-length': body.length, 'cache-control': 'no-cache' };
    response.writeHead(200, headers).end(body);
  };
  return onGet(path, (response) => {
    newest(response).catch((error: unknown) => {
      onError(toFinialError(error));
      refuse(response, 500, 'unable to retrieve local bundle');
    });
  });
}

/**
 * Sends clients to another endpoint, for now: they come back here for each refresh (SPIFFE Federation 5.2.1.3).
 *
 * @param url of an endpoint of the same profile and, with `https_spiffe`, of the same SPIFFE ID
 * @param options.path as for `bundleHandler`
 * @throws FinialError `invalid-argument` for a URL that clients must refuse
 */
export function bundleRedirect(url: string, { path = '/' }: Pick<BundleHandlerOptions, 'path'> = {}): RequestHandler {
  const location = endpointUrl(url).href;
  return onGet(path, (response) => response.writeHead(302, { location, 'content-length': 0 }).end());
}

function onGet(path: string, answer: (response: ServerResponse) => void): RequestHandler {
  return (request, response) => {
    // A body, which nobody asked for, is dropped unread.
    request.resume();
    if (request.method !== 'GET') refuse(response.setHeader('allow', 'GET'), 405, 'method is not allowed');
    else if (request.url?.split('?', 1)[0] !== path) refuse(response, 404, 'not found');
    else answer(response);
  };
}

function refuse(response: ServerResponse, status: number, reason: string): void {
  const body = Buffer.from(`${status} ${reason}\n`);
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': body.length });
  response.end(body);
}
