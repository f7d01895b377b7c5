/**
 * SPIFFE Federation for programs that fetch or publish bundles themselves. Everything that is exported here is the
 * public interface of `finial/client/federation`.
 */
export { type Bundle } from '../../spiffe/bundle/bundle.ts';
export { bundleFromSpiffeJson, bundleToSpiffeJson, type ReadBundle } from '../../spiffe/bundle/json.ts';
export { x509AuthoritiesFromPem } from '../../spiffe/bundle/pem.ts';
export { combineBundles } from './combine.ts';
export type { BundleEndpoint, EndpointProfile, SpiffeProfile, WebProfile } from './endpoint.ts';
export { fetchBundle, type FetchBundleOptions, type FetchRecord } from './fetch.ts';
export { bundleHandler, type BundleHandlerOptions, bundleRedirect, type RequestHandler } from './handler.ts';
export { type BundleServer, serveBundle, type ServeBundleOptions, type ServedProfile } from './serve.ts';
export { type BundleWatch, watchBundle, type WatchBundleOptions } from './watch.ts';
