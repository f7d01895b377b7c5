import { afterEach } from 'vitest';
import { type Clock, ManualClock } from '../../../../common/clock.ts';
import type { Bundle } from '../../../../spiffe/bundle/bundle.ts';
import { parseSpiffeId, type SpiffeId } from '../../../../spiffe/id.ts';
import type { AttestedNode } from '../../../../spiffe/registration/node.ts';
import { parseSelector, type Selector } from '../../../../spiffe/selector.ts';
import { parseTrustDomain } from '../../../../spiffe/trust-domain.ts';
import type { DataStore, NewEntry } from '../contract.ts';

/** A database that did not exist before, and the way to open it once more as another server does. */
export interface TestDatabase {
  readonly store: DataStore;
  readonly another: () => Promise<DataStore>;
}

/** Makes a fresh database whose stores take their time from `clock`. */
export type OpenTestDatabase = (clock: Clock) => Promise<TestDatabase>;

/** Half a second past a whole one, so that rounding shows. */
export const START_MS = Date.UTC(2026, 10, 23, 3, 16, 5) + 600;

export const home = parseTrustDomain('example.org');
export const friend = parseTrustDomain('friend.test');
export const stranger = parseTrustDomain('stranger.test');
export const agentId = parseSpiffeId('spiffe://example.org/spire/agent/x509pop/one');

export function id(path: string): SpiffeId {
  return parseSpiffeId(`spiffe://example.org${path}`);
}

export function selectors(...texts: readonly string[]): Selector[] {
  return texts.map(parseSelector);
}

export function newEntry(change: Partial<NewEntry> = {}): NewEntry {
  return {
    spiffeId: id('/workload'),
    parentId: agentId,
    selectors: selectors('unix:uid:1000'),
    x509SvidTtl: 0,
    jwtSvidTtl: 0,
    federatesWith: [],
    admin: false,
    downstream: false,
    expiresAt: 0,
    dnsNames: [],
    storeSvid: false,
    hint: '',
    ...change,
  };
}

export type AttestedSample = Omit<AttestedNode, 'newSerialNumber' | 'newExpiresAt' | 'agentVersion'>;

export function attested(change: Partial<AttestedSample> = {}): AttestedSample {
  return {
    id: agentId,
    attestationType: 'x509pop',
    serialNumber: '1001',
    expiresAt: 1_800_000_000,
    canReattest: true,
    selectors: selectors('x509pop:ca:a', 'x509pop:subject:b'),
    ...change,
  };
}

/** A self-signed CA certificate that ended with the year 2020. */
export const expiredCertificate = Buffer.from(
  'MIIBLTCB1KADAgECAgEBMAoGCCqGSM49BAMCMA4xDDAKBgNVBAMTA29sZDAeFw0xOTAxMDEwMDAwMDBaFw0yMTAxMDEwMDAwMDBaMA4xDDAKBgNV' +
    'BAMTA29sZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBHqhc5KZwtBc0WtlPKKPFp+U+q2HSor9OJY6IVqYaTYEoIZjiy1H5/lPW0wEXpMPF83' +
    'd1j9D5aKjdw9cowDUrijIzAhMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMCA0gAMEUCIQCGFtj7pYM0tA2hEyD3' +
    'mbr+O2lwCT+8dumXeN1a3bvhjgIgOeS3Ayomy3HygomCgRY0av30Eaxs3bWOcyxS+cmEPfI=',
  'base64',
);

/** A self-signed CA certificate that ends in 2099. */
export const validCertificate = Buffer.from(
  'MIIBMDCB1qADAgECAgEBMAoGCCqGSM49BAMCMA4xDDAKBgNVBAMTA25ldzAgFw0xOTAxMDEwMDAwMDBaGA8yMDk5MDEwMTAwMDAwMFowDjEMMAoG' +
    'A1UEAxMDbmV3MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEeqFzkpnC0FzRa2U8oo8Wn5T6rYdKiv04ljohWphpNgSghmOLLUfn+U9bTARekw8' +
    'Xzd3WP0PloqN3D1yjANSuKMjMCEwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwIDSQAwRgIhAM975jtm1Z6JYvDU' +
    'GYsYop8atL4u3RwANDEXRcqRgIuFAiEAmwzFMJNPFuHiOr8jUyHicfKiRBU1zw5kKulvZhQuzU4=',
  'base64',
);

/** A bundle with the given parts and nothing else. */
export function bundleOf(change: Partial<Bundle> & Pick<Bundle, 'trustDomain'>): Bundle {
  return {
    x509Authorities: [],
    jwtAuthorities: [],
    witAuthorities: [],
    refreshHint: 0,
    sequenceNumber: 0n,
    ...change,
  };
}

/** The stores in turn. */
export function pick(stores: readonly DataStore[], n: number): DataStore {
  const store = stores[n % stores.length];
  if (store === undefined) throw new RangeError('there are no stores');
  return store;
}

/** For one `describe` block: opens databases and closes them, and all that was opened on them, after each test. */
export function opener(open: OpenTestDatabase): (clock?: Clock) => Promise<TestDatabase> {
  const stores: DataStore[] = [];
  afterEach(async () => {
    for (const store of stores.splice(0).toReversed()) await store.close();
  });
  return async (clock = new ManualClock(START_MS)) => {
    const database = await open(clock);
    stores.push(database.store);
    return {
      store: database.store,
      async another() {
        const store = await database.another();
        stores.push(store);
        return store;
      },
    };
  };
}
