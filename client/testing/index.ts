/**
 * What the tests of applications need instead of an agent: a Workload API that does what it is told, and trust domains
 * that issue real SVIDs. Everything that is exported here is the public interface of `finial/client/testing`.
 */
export { ManualClock } from '../../common/clock.ts';
export {
  createTestAuthority,
  type IssuedWitSvid,
  type JwtSvidOptions,
  type TestAuthority,
  type TestAuthorityOptions,
  type X509SvidOptions,
} from './authority.ts';
export type { FakeCall } from './calls.ts';
export {
  createFakeWorkloadApi,
  type FakeWorkloadApi,
  type FakeWorkloadApiOptions,
  type FakeX509,
} from './fake-workload-api.ts';
export type { FailureOptions, WorkloadMethod } from './script.ts';
export { createTestSource, type TestSource } from './source.ts';
