import { afterAll, describe, expect } from 'vitest';
import type { BundleEndpoint } from '../../client/federation/endpoint.ts';
import { fetchBundle } from '../../client/federation/fetch.ts';
import { createTestAuthority } from '../../client/testing/authority.ts';
import { bundleFromSpiffeJson, bundleToSpiffeJson } from '../../spiffe/bundle/json.ts';
import { bundleToPem, x509AuthoritiesFromPem } from '../../spiffe/bundle/pem.ts';
import {
  type Answer,
  checkParameters,
  federatedDomain,
  scriptedEndpoint,
  watching,
} from '../support/bundle-endpoint.ts';
import { row } from './row.ts';

// Endpoints are real servers on loopback. Each row sets what they answer, as rows run one after the other.
const b = await federatedDomain();
const c = await federatedDomain('c.test');
const { authority, endpoint } = b;
const { bundle } = authority;
const path = (of: { readonly url: string }, name: string): string => `${of.url}${name}`;
const elsewhere = await scriptedEndpoint(await presented('spiffe://b.test/bundle'), bundle);
const stranger = await scriptedEndpoint(await presented('spiffe://b.test/other'), bundle);
afterAll(async () => {
  for (const one of [b, c, elsewhere, stranger]) await one[Symbol.asyncDispose]();
});

async function presented(id: string, dnsNames = ['localhost']) {
  const svid = await authority.issueX509(id, { dnsNames });
  return () => svid;
}

/** Fetches by one profile or the other after the endpoint was told what to answer. */
const fetching = (config: BundleEndpoint, ...answers: readonly Answer[]) => {
  endpoint.answer(...answers);
  return fetchBundle(config);
};

describe('Federation 5.1: parameters', () => {
  const whole = b.spiffe;
  row('FED-13')
    .accepts('https_web', () => fetching(b.web, bundle))
    .accepts('https_spiffe', () => fetching(b.spiffe, bundle));

  row('FED-16')
    .refuses('no URL', () => checkParameters({ ...whole, url: undefined }), /the URL must be given/)
    .refuses('no profile', () => checkParameters({ ...whole, profile: undefined }), /the profile must be given/)
    .refuses('an unknown profile', () => checkParameters({ ...whole, profile: { type: 'x' } }), /must be https_web or/)
    .refuses('no trust domain', () => checkParameters({ ...whole, trustDomain: undefined }), /trust domain .* given/)
    .shows('no second attempt by the other profile', async () => {
      const before = elsewhere.requests.length;
      const wrong = b.with({ url: elsewhere.url, profile: { ...c.spiffe.profile } });
      await expect(fetchBundle(wrong)).rejects.toMatchObject({ code: 'unauthenticated' });
      expect(elsewhere.requests).toHaveLength(before);
    });

  row('FED-32').refuses(
    'a trust domain that is none, as no document says whose it is',
    () => checkParameters({ ...whole, trustDomain: '' }),
    /trust domain/,
  );
  row('FED-17').accepts('the parameters that https_spiffe needs besides', () => checkParameters(whole));
  row('FED-19')
    .accepts('https', () => checkParameters({ ...whole, url: 'https://b.test/' }))
    .refuses('http', () => checkParameters({ ...whole, url: 'http://b.test/' }), /must begin with https/)
    .refuses('no scheme', () => checkParameters({ ...b.web, url: 'b.test' }), /must begin with https/);
  row('FED-20')
    .accepts('an @ in the path', () => checkParameters({ ...whole, url: 'https://b.test/@b' }))
    .refuses('a user', () => checkParameters({ ...whole, url: 'https://u@b.test/' }), /user information/)
    .refuses(
      'a user of https_web',
      () => checkParameters({ ...b.web, url: 'https://u:p@b.test/' }),
      /user information/,
    );
  row('FED-21').accepts('trust domain, URL and profile alone', () =>
    checkParameters({ trustDomain: 'b.test', url: 'https://b.test/', profile: { type: 'https_web' } }),
  );
  row('FED-36')
    .accepts('both', () => checkParameters(whole))
    .refuses(
      'https_spiffe without the ID of the endpoint',
      () => checkParameters(b.withProfile({ endpointId: undefined } as object)),
      /needs the SPIFFE ID of the endpoint/,
    )
    .refuses(
      'https_spiffe without bundles',
      () => checkParameters(b.withProfile({ bundles: undefined } as object)),
      /needs bundles that verify the endpoint/,
    );
});

describe('Federation 5.2.1.4: the web client', () => {
  row('FED-31')
    .accepts('a certificate of a trusted authority for the host', () => fetching(b.web, bundle))
    .refuses(
      'the certificate of an unknown authority',
      () => fetching({ ...b.web, profile: c.web.profile }, bundle),
      /unable to verify|self-signed|unable to get/,
    )
    .refuses(
      'a certificate for another host',
      () => fetching({ ...b.web, url: endpoint.url.replace('localhost', '127.0.0.1') }, bundle),
      /does not match certificate's altnames/,
    );
});

describe('Federation 5.2: redirects', () => {
  const to = (location: string, status = 302) => ({ status, location });
  row('FED-33')
    .accepts('a redirect to another endpoint', async () => {
      for (const config of [b.web, b.spiffe]) await fetching(config, to(elsewhere.url));
    })
    .refuses('one redirect after the other', () => fetching(b.web, to('/again')), /redirects more than 10 times/)
    .refuses(
      'a redirect when told to follow none',
      () => {
        endpoint.answer(to(elsewhere.url));
        return fetchBundle(b.web, { maxRedirects: 0 });
      },
      /redirects more than 0 times/,
    );
  row('FED-34').accepts('a redirect to a host whose certificate fits', () => fetching(b.web, to(elsewhere.url)));
  row('FED-34').refuses(
    'a redirect to a host whose certificate does not fit',
    () => fetching(b.web, to(elsewhere.url.replace('localhost', '127.0.0.1'))),
    /does not match certificate's altnames/,
  );
  row('FED-34').refuses(
    'a redirect to a host with a certificate of another authority',
    () => fetching(b.web, to(c.endpoint.url)),
    /unable to verify|self-signed|unable to get/,
  );
  row('FED-35').shows('each refresh starts at the configured URL, even after 301 and 308', async () => {
    const before = endpoint.requests.length;
    endpoint.answer(to(path(endpoint, 'x'), 301), bundle, to(path(endpoint, 'y'), 308), bundle, bundle);
    using w = await watching(b.spiffe);
    await w.passUntilFetch(300);
    await w.passUntilFetch(300);
    expect(endpoint.requests.slice(before).map(({ url }) => url)).toEqual(['/', '/x', '/', '/y', '/']);
  });
  row('FED-44')
    .accepts('a target with the same SPIFFE ID', () => fetching(b.spiffe, to(elsewhere.url)))
    .refuses(
      'a target with another ID of the trust domain',
      () => fetching(b.spiffe, to(stranger.url)),
      /spiffe:\/\/b\.test\/other is not authorized/,
    );
});

describe('Federation 5.2.2.4: the SPIFFE client', () => {
  const bootstrap = (bundles: object) => b.withProfile({ bundles } as object);
  row('FED-37').accepts('a bootstrap bundle in SPIFFE bundle JSON', () =>
    fetching(bootstrap(bundleFromSpiffeJson(bundleToSpiffeJson(bundle), authority.trustDomain)), bundle),
  );
  row('FED-38').accepts('a bootstrap bundle in PEM', () => {
    const x509Authorities = x509AuthoritiesFromPem(bundleToPem(bundle));
    return fetching(bootstrap({ trustDomain: authority.trustDomain, x509Authorities }), bundle);
  });
  const foreign = (bundles: object) => b.with({ url: c.endpoint.url, profile: { ...c.spiffe.profile, ...bundles } });
  row('FED-39')
    .accepts('an endpoint of another trust domain whose bundle is known', async () => {
      c.endpoint.answer(bundle);
      const read = await fetchBundle(foreign({}));
      expect(read.bundle).toMatchObject({ trustDomain: 'b.test', x509Authorities: bundle.x509Authorities });
    })
    .refuses(
      'an endpoint of another trust domain whose bundle is not known',
      () => fetchBundle(foreign({ bundles: bundle })),
      /no bundle of c\.test, the trust domain of the endpoint/,
    );
  row('FED-40').accepts('the bundle of that other trust domain from its web endpoint', async () => {
    c.endpoint.answer(c.authority.bundle, bundle);
    using w = await watching(c.web);
    await fetchBundle(foreign({ bundles: w.watch }));
  });
  row('FED-42')
    .accepts('exactly the configured ID, whatever the DNS names', async () => {
      await using nameless = await scriptedEndpoint(await presented(b.endpointId, ['elsewhere.test']), bundle);
      await fetchBundle(b.with({ url: nameless.url }));
    })
    .refuses('another ID of the trust domain', () => fetchBundle(b.with({ url: stranger.url })), /is not authorized/)
    .refuses(
      'the same ID from an impostor',
      async () => {
        const impostor = await (await createTestAuthority('b.test')).issueX509(b.endpointId);
        await using server = await scriptedEndpoint(() => impostor, bundle);
        await fetchBundle(b.with({ url: server.url }));
      },
      /signed by unknown authority/,
    );

  row('FED-43')
    .accepts('the rotated root after two polls', async () => {
      await using d = await federatedDomain('d.test');
      using w = await watching(d.spiffe);
      await d.authority.rotate();
      d.endpoint.answer(d.authority.bundle);
      await w.passUntilFetch(300);
      d.authority.retire();
      await d.renew();
      d.endpoint.answer(d.authority.bundle);
      await w.passUntilFetch(300);
      expect(w.events).toEqual(['update', 'update']);
      expect(w.watch.current.x509Authorities).toHaveLength(1);
    })
    .refuses(
      'an endpoint under the bootstrap root, once a bundle without it was fetched',
      async () => {
        await using d = await federatedDomain('d.test');
        await d.authority.rotate();
        d.authority.retire();
        d.endpoint.answer(d.authority.bundle);
        using w = await watching(d.spiffe);
        await w.passUntilFetch(300);
        throw w.fetches[1]?.error;
      },
      /signed by unknown authority/,
    );
});
