import { describe, expect, it } from 'vitest';
import type { LoggerDefinition } from '../../proto/gen/spire/api/server/logger/v1/Logger.ts';
import type { TrustDomainDefinition } from '../../proto/gen/spire/api/server/trustdomain/v1/TrustDomain.ts';
import { jsonText, protoJson, responseMessage } from './json.ts';
import { loadMessage } from './message.ts';
import { loadService } from './service.ts';
import { entryService, workloadService } from './services.ts';
import { fromStruct, fromValue, toStruct } from './struct.ts';

const workload = workloadService();
const server = 'spire/api/server';
const entries = entryService();
const trustDomains = loadService<TrustDomainDefinition>(
  `${server}/trustdomain/v1/trustdomain.proto`,
  'spire.api.server.trustdomain.v1.TrustDomain',
);
const logger = loadService<LoggerDefinition>(`${server}/logger/v1/logger.proto`, 'spire.api.server.logger.v1.Logger');

// The expected lines were printed by the reference's own encoder for the same messages.
describe('protoJson', () => {
  it('prints every field with its default, 64-bit integers as text, and no unset message', () => {
    const entry = responseMessage(entries, 'GetEntry');
    const text = jsonText(
      protoJson(entry, {
        id: 'i',
        spiffe_id: { trust_domain: 'td', path: '/\u2028' },
        additional_attributes: {},
        expires_at: '1152921504606846976',
      }),
    );
    expect(text).toBe(
      '{"additional_attributes":{"disable_x509_svid_prefetch":false,"jwt_svid_include_jti":false},"admin":false,' +
        '"created_at":"0","dns_names":[],"downstream":false,"expires_at":"1152921504606846976","federates_with":[],' +
        '"hint":"","id":"i","jwt_svid_ttl":0,"revision_number":"0","selectors":[],' +
        '"spiffe_id":{"path":"/\\u2028","trust_domain":"td"},"store_svid":false,"x509_svid_ttl":0}',
    );
  });

  it('prints the same for a received message, whose oneofs carry the name of what is set', () => {
    const message = responseMessage(entries, 'GetEntry');
    const received = message.decode(message.encode({ hint: 'selectors', additional_attributes: {} }));
    expect(received._additional_attributes).toBe('additional_attributes');
    const printed = protoJson(message, received);
    expect(printed['hint']).toBe('selectors');
    expect(Object.keys(printed)).not.toContain('_additional_attributes');
  });

  it('prints only the chosen member of a oneof, and bytes in base64', () => {
    const value = {
      trust_domain: 'td',
      https_web: {},
      trust_domain_bundle: { x509_authorities: [{ asn1: Buffer.from('fffefd', 'hex') }] },
    };
    expect(jsonText(protoJson(responseMessage(trustDomains, 'GetFederationRelationship'), value))).toBe(
      '{"bundle_endpoint_url":"","https_web":{},"trust_domain":"td","trust_domain_bundle":{"jwt_authorities":[],' +
        '"refresh_hint":"0","sequence_number":"0","trust_domain":"","wit_authorities":[],' +
        '"x509_authorities":[{"asn1":"//79","tainted":false}]}}',
    );
  });

  it('prints enums by name', () => {
    const message = responseMessage(logger, 'GetLogger');
    expect(protoJson(message, { current_level: 'INFO' })).toEqual({
      current_level: 'INFO',
      launch_level: 'UNSPECIFIED',
    });
  });

  it('prints free-form JSON as it is, without nulls', () => {
    const claims = toStruct({ sub: '<a&b>', exp: 1700000000, z: null, aud: ['x', null, 1.5], big: 1e21, small: 1e-7 });
    const text = jsonText(
      protoJson(responseMessage(workload, 'ValidateJWTSVID'), { spiffe_id: 'spiffe://td/x', claims }),
    );
    expect(text).toBe(
      '{"claims":{"aud":["x",1.5],"big":1e+21,"exp":1700000000,"small":1e-7,"sub":"\\u003ca\\u0026b\\u003e"},' +
        '"spiffe_id":"spiffe://td/x"}',
    );
  });

  it('prints maps, empty or not, sorted', () => {
    const message = responseMessage(workload, 'FetchX509SVID');
    expect(jsonText(protoJson(message, {}))).toBe('{"crl":[],"federated_bundles":{},"svids":[]}');
    const bundles = { 'spiffe://b': Buffer.from([2]), 'spiffe://a': Buffer.from([1]) };
    expect(jsonText(protoJson(message, { federated_bundles: bundles }))).toContain(
      '"federated_bundles":{"spiffe://a":"AQ==","spiffe://b":"Ag=="}',
    );
  });

  it('unwraps wrapped scalars', () => {
    const request = loadMessage<object, object>(entries.protoFile, 'spire.api.server.entry.v1.ListEntriesRequest');
    const value = { filter: { by_hint: { value: 'x' }, by_downstream: { value: false } } };
    expect(protoJson(request, value)['filter']).toEqual({ by_hint: 'x', by_downstream: false });
  });

  it('refuses what it has no form for', () => {
    const status = loadMessage<object, object>('google/rpc/status.proto', 'google.rpc.Status');
    const value = { details: [{ type_url: 'a/b', value: Buffer.alloc(0) }] };
    expect(() => protoJson(status, value)).toThrow('no JSON for google.protobuf.Any');
  });
});

describe('free-form JSON', () => {
  it('survives the way through google.protobuf.Struct', () => {
    const message = loadMessage<object, { claims: never }>('workload.proto', 'ValidateJWTSVIDResponse');
    const claims = { a: [1, [], { b: null }], t: true, f: false, empty: {}, zero: 0, text: '' };
    expect(fromStruct(message.decode(message.encode({ claims: toStruct(claims) })).claims)).toEqual(claims);
    expect(fromValue({})).toBeNull();
  });
});
