import { FinialError, toFinialError } from '../../common/errors.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { parseSpiffeId, type SpiffeId, trustDomainOf } from '../../spiffe/id.ts';
import { parseTrustDomain, type TrustDomain } from '../../spiffe/trust-domain.ts';
import type { X509BundleProvider } from '../source.ts';

/**
 * Where the bundle of a trust domain is published (SPIFFE Federation 5.1). All three are said by an operator: none is
 * inferred from another, and a client that fails with one profile does not try the other.
 */
export interface BundleEndpoint {
  /** Whose bundle it is, name or ID; a bundle document does not say. */
  readonly trustDomain: string;
  /** `https://...`, without user information. */
  readonly url: string;
  readonly profile: EndpointProfile;
}

/** How the endpoint proves that it is the right one. */
export type EndpointProfile = WebProfile | SpiffeProfile;

/** By a certificate for the host in the URL (SPIFFE Federation 5.2.1). */
export interface WebProfile {
  readonly type: 'https_web';
  /** PEM of the authorities to trust instead of the public ones. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[];
}

/** By an X509-SVID (SPIFFE Federation 5.2.2). Names in the URL then only tell where to connect to. */
export interface SpiffeProfile {
  readonly type: 'https_spiffe';
  /** Exactly this identity; no other one of its trust domain will do. */
  readonly endpointId: string;
  /**
   * What verifies the endpoint, by the bundle of ITS trust domain. For an endpoint that serves its own trust domain's
   * bundle this is how the first fetch is trusted: `bundleFromSpiffeJson` reads such a bundle, `x509AuthoritiesFromPem`
   * the authorities of one.
   */
  readonly bundles: X509BundleProvider | Pick<Bundle, 'trustDomain' | 'x509Authorities'>;
}

/** An endpoint whose parameters were checked. */
export interface CheckedEndpoint {
  readonly trustDomain: TrustDomain;
  readonly url: URL;
  readonly profile: WebProfile | (Omit<SpiffeProfile, 'endpointId'> & { readonly endpointId: SpiffeId });
}

/**
 * Checks the parameters of an endpoint, all of them, as the compiler does not for JavaScript.
 *
 * @throws FinialError `invalid-argument`
 */
export function checkEndpoint(endpoint: BundleEndpoint): CheckedEndpoint {
  const { trustDomain, url, profile } = endpoint as Partial<BundleEndpoint>;
  if (typeof trustDomain !== 'string') throw invalid('the trust domain of the bundle must be given');
  if (typeof url !== 'string') throw invalid('the URL must be given');
  if (profile === undefined) throw invalid('the profile must be given');
  return {
    trustDomain: argument(() => parseTrustDomain(trustDomain)),
    url: endpointUrl(url),
    profile: checkProfile(profile),
  };
}

function checkProfile(profile: EndpointProfile): CheckedEndpoint['profile'] {
  switch (profile.type) {
    case 'https_web': {
      // Node takes an empty text for "the public authorities".
      const given = [profile.ca ?? []].flat();
      if (given.some((one) => one.length === 0)) throw invalid('an authority in ca is empty');
      return profile;
    }
    case 'https_spiffe': {
      const { endpointId, bundles } = profile as Partial<SpiffeProfile>;
      if (typeof endpointId !== 'string') throw invalid('https_spiffe needs the SPIFFE ID of the endpoint');
      if (bundles === undefined) throw invalid('https_spiffe needs bundles that verify the endpoint');
      return { ...profile, endpointId: argument(() => parseSpiffeId(endpointId)) };
    }
    default:
      throw invalid('the profile must be https_web or https_spiffe');
  }
}

/** Whether an endpoint is authenticated by the very bundle that it serves (SPIFFE Federation 5.2.2.2). */
export function isSelfServing({ trustDomain, profile }: CheckedEndpoint): boolean {
  return profile.type === 'https_spiffe' && trustDomainOf(profile.endpointId) === trustDomain;
}

/**
 * The URL of an endpoint (SPIFFE Federation 5.2.1.1, 5.2.2.1).
 *
 * @param base what a redirect was found at, as its target may be relative
 * @throws FinialError `invalid-argument`
 */
export function endpointUrl(text: string, base?: URL): URL {
  // `URL` forgives much, such as blanks, backslashes and missing slashes, that other clients do not.
  if (/[\s\\\p{Cc}]/u.test(text)) throw invalid('the URL must hold no blanks, backslashes or control characters');
  if (base === undefined && !/^https:\/\/[^/]/i.test(text)) throw invalid('the URL must begin with https://');
  let url: URL;
  try {
    url = new URL(text, base);
  } catch (cause) {
    throw invalid('the URL is malformed', cause);
  }
  if (url.protocol !== 'https:') throw invalid('the URL must begin with https://');
  // Looked for in the text as well, as an empty user is not kept.
  const [, authority = ''] = /^(?:[a-z][a-z0-9+.-]*:)?\/\/([^/?#]*)/i.exec(text) ?? [];
  if (authority.includes('@') || url.username !== '' || url.password !== '') {
    throw invalid('the URL must not have user information');
  }
  return url;
}

function argument<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw invalid(toFinialError(error).message, error);
  }
}

function invalid(problem: string, cause?: unknown): FinialError {
  return new FinialError('invalid-argument', `bundle endpoint: ${problem}`, { cause });
}
