/**
 * The SPIFFE library for Node: identities from the Workload API, TLS with them, tokens, bundles. Everything that is
 * exported here is the public interface of `finial/client`.
 */
export type { BackoffPolicy } from '../common/backoff.ts';
export { type Clock, ManualClock } from '../common/clock.ts';
export { type ErrorCode, FinialError } from '../common/errors.ts';
export type { Bundle, JwtAuthority, X509Authority } from '../spiffe/bundle/bundle.ts';
export { SpiffeError, type SpiffeErrorCode } from '../spiffe/error.ts';
export * from '../spiffe/id.ts';
export * from '../spiffe/trust-domain.ts';
export {
  type JwtSvidExpectation,
  readUnverifiedJwtSvid,
  type UnverifiedJwtSvid,
  type VerifiedJwtSvid,
  verifyJwtSvid,
} from '../spiffe/jwt/verify.ts';
export { parseX509Svid, x509SvidFromPem } from '../spiffe/x509/svid.ts';
export { verifyX509Svid } from '../spiffe/x509/verify.ts';
export {
  type Authorize,
  authorizeAllOf,
  authorizeAny,
  authorizeId,
  authorizeIf,
  authorizeOneOf,
  authorizePath,
  authorizeTrustDomain,
} from './authorize.ts';
export { authorizationMetadata, type BearerOptions, bearerHeaders } from './bearer.ts';
export { type BundleSource, createBundleSource } from './bundle-source.ts';
export { ENDPOINT_VARIABLE, parseEndpoint, type WorkloadEndpoint, workloadEndpoint } from './endpoint.ts';
export { grpcCredentials, type GrpcListener, type GrpcListenOptions, grpcPeerId, listenGrpc } from './grpc.ts';
export type { SourceOptions } from './held-source.ts';
export type { AuthenticatedPeer, AuthenticationOptions } from './http/authentication.ts';
export {
  authenticatedPeer,
  fastifyAuthentication,
  fetchAuthentication,
  nodeAuthentication,
} from './http/middleware.ts';
export { createJwtSource, type JwtSource, type JwtSourceRequest } from './jwt-source.ts';
export type { JwtSvid, ValidatedJwtSvid } from './jwt-svids.ts';
export type {
  JwtBundleProvider,
  JwtBundles,
  Source,
  X509BundleProvider,
  X509Bundles,
  X509Svid,
  X509SvidProvider,
} from './source.ts';
export type { StreamListener, WatchOptions, WorkloadStream } from './stream.ts';
export {
  type CallOptions,
  type JwtSvidRequest,
  type WorkloadApi,
  workloadApi,
  type WorkloadApiOptions,
} from './workload-api.ts';
export {
  type ConnectOptions,
  connectTls,
  type TlsClientOptions,
  tlsClientOptions,
  type TlsConnection,
} from './tls/connect.ts';
export { connectHttp2, createHttp2Server, type Http2ServerOptions } from './tls/http2.ts';
export { createHttpsServer, httpsAgent, type HttpsServerOptions, webHttpsAgent } from './tls/https.ts';
export { peerIdOf, peerOf, type VerifiedPeer } from './tls/peer.ts';
export { admitOnlyVerified, createTlsServer, type TlsServerOptions, tlsServerOptions } from './tls/server.ts';
export { connectWebTls, webTlsClientOptions, type WebTlsClientOptions } from './tls/web.ts';
export { createFetch, type SpiffeFetch, undiciConnect } from './tls/undici.ts';
export type { X509BundleSet, X509Context } from './x509-context.ts';
export { createX509Source, type X509Source, type X509SourceOptions } from './x509-source.ts';
