import { describe, expect, it } from 'vitest';
import type { EntryDefinition } from '../../proto/gen/spire/api/server/entry/v1/Entry.ts';
import type {
  X509SVID as TypesX509SVID,
  X509SVID__Output as TypesX509SVIDOutput,
} from '../../proto/gen/spire/api/types/X509SVID.ts';
import type { X509SVIDResponse, X509SVIDResponse__Output } from '../../proto/gen/workload/X509SVIDResponse.ts';
import { loadMessage } from './message.ts';
import { implement, loadService, serverStream, type ServiceHandlers, unary } from './service.ts';
import { entryService, workloadService } from './services.ts';

// Both files are loaded by one process, as an agent does. Bytes as the reference encodes the same messages.
const update = loadMessage<X509SVIDResponse, X509SVIDResponse__Output>('workload.proto', 'X509SVIDResponse');
const svid = loadMessage<TypesX509SVID, TypesX509SVIDOutput>(
  'spire/api/server/svid/v1/svid.proto',
  'spire.api.types.X509SVID',
);

describe('messages of one name in different packages', () => {
  it('keep their own fields: the Workload API', () => {
    const value = {
      svids: [
        {
          spiffe_id: 'spiffe://td/x',
          x509_svid: Buffer.from([1]),
          x509_svid_key: Buffer.from([2]),
          bundle: Buffer.from([3]),
          hint: 'h',
        },
      ],
      federated_bundles: { 'spiffe://b': Buffer.from([4]) },
    };
    const bytes = update.encode(value);
    expect(bytes.toString('hex')).toBe(
      '0a1b0a0d7370696666653a2f2f74642f781201011a01022201032a01681a0f0a0a7370696666653a2f2f62120104',
    );
    expect(update.decode(bytes)).toEqual({ ...value, crl: [] });
  });

  it('keep their own fields: the server API', () => {
    const value = {
      cert_chain: [Buffer.from([1]), Buffer.from([2])],
      id: { trust_domain: 'td', path: '/x' },
      expires_at: '7',
      hint: 'h',
    };
    const bytes = svid.encode(value);
    expect(bytes.toString('hex')).toBe('0a01010a010212080a02746412022f781807220168');
    expect(svid.decode(bytes)).toEqual(value);
  });
});

describe('loading', () => {
  it('fails for what a file does not define', () => {
    expect(() => loadMessage('workload.proto', 'spire.api.types.X509SVID')).toThrow(TypeError);
    expect(() => loadMessage('workload.proto', 'SpiffeWorkloadAPI')).toThrow(TypeError);
    expect(() => loadService('workload.proto', 'X509SVID')).toThrow(TypeError);
    expect(() => loadService('nothing.proto', 'X')).toThrow('ENOENT');
  });

  it('refuses bytes that are no message', () => {
    expect(() => svid.decode(Buffer.from('0aff', 'hex'))).toThrow(RangeError);
  });
});

describe('implement', () => {
  const workload = workloadService();
  const entries = entryService();

  it('refuses handlers of another shape than their method', () => {
    expect(() => implement(workload, { FetchX509SVID: unary(async () => ({})) })).toThrow('is server-stream');
    expect(() => implement(entries, { CountEntries: serverStream(async function* () {}) })).toThrow('is unary');
  });

  it('refuses handlers of methods there are not', () => {
    const handlers = { CountEntires: unary(async () => ({})) } as Partial<ServiceHandlers<EntryDefinition>>;
    expect(() => implement(entries, handlers)).toThrow('no method CountEntires');
  });

  it('lists all methods, answered or not', () => {
    const { methods } = implement(entries, { CountEntries: unary(async () => ({ count: 1 })) });
    expect(methods).toHaveLength(8);
    expect(methods.filter(({ handler }) => handler !== undefined).map(({ name }) => name)).toEqual(['CountEntries']);
  });
});
