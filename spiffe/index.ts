/**
 * The SPIFFE standards as values and pure functions: no I/O, no clock, no state. Everything that is exported here is the
 * public interface of `finial/spiffe`; WIT-SVIDs, which are incubating, are in `finial/client/wit`.
 */
export * from './bundle/bundle.ts';
export { bundleMapToJson, readBundleMap, type ReadBundleMap, type SkippedMapKey } from './bundle/bundle-map.ts';
export * from './bundle/bundle-set.ts';
export { equalBundles } from './bundle/change.ts';
export { bundleToDer, x509AuthoritiesFromDer } from './bundle/der.ts';
export {
  bundleFromSpiffeJson,
  bundleToSpiffeJson,
  jwksOf,
  jwtAuthoritiesFromJwks,
  type ReadBundle,
  readSpiffeBundle,
  type SkippedKey,
  type SpiffeJsonOptions,
} from './bundle/json.ts';
export { bundleToPem, type PemOptions, x509AuthoritiesFromPem } from './bundle/pem.ts';
export { pollInterval, type PollLimits, refreshBundle } from './bundle/refresh.ts';
export { SpiffeError, type SpiffeErrorCode } from './error.ts';
export * from './id.ts';
export { signJwtSvid } from './jwt/sign.ts';
export {
  type JwtSvid,
  type JwtSvidExpectation,
  readUnverifiedJwtSvid,
  type UnverifiedJwtSvid,
  type VerifiedJwtSvid,
  verifyJwtSvid,
} from './jwt/verify.ts';
export * from './trust-domain.ts';
export { type Certificate, parseCertificate, parseCertificates, spiffeIdOf } from './x509/certificate.ts';
export { generateSigner, type PrivateKeySigner, signerFromPrivateKey } from './x509/key.ts';
export { certificatesFromPem, certificatesToPem } from './x509/pem.ts';
export { parseX509Svid, type X509Svid, x509SvidFromPem } from './x509/svid.ts';
export { type VerifiedX509Svid, verifyX509Svid, type X509Authorities } from './x509/verify.ts';
