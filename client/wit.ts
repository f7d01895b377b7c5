/**
 * WIT-SVIDs (incubating): tokens that are worth nothing without a proof by their key. Everything that is exported here is
 * the public interface of `finial/client/wit`, which may change with the drafts that SPIFFE_REVISION, WIT_DRAFT and
 * WPT_DRAFT name.
 */
export {
  authenticateWitSvid,
  type AuthenticatedWitPeer,
  type WitAuthenticationExpectation,
} from '../spiffe/wit/authenticate.ts';
export * from '../spiffe/wit/http.ts';
export { signWorkloadProof, type WorkloadProofTemplate } from '../spiffe/wit/proof.ts';
export { memoryReplayCache, type ReplayCache } from '../spiffe/wit/replay.ts';
export * from '../spiffe/wit/revision.ts';
export { parseWitSvid, type UnverifiedWitSvid, type WitSvid } from '../spiffe/wit/token.ts';
export { type UnprovenWitSvid, verifyUnprovenWitSvid, type WitSvidExpectation } from '../spiffe/wit/verify.ts';
export { createWitSource, type WitSource, type WitSourceOptions } from './wit-source.ts';
export type { HeldWitSvid, WitBundles } from './wit-svids.ts';
