import { bothOrNeither } from './both.ts';
import type { SourceOptions } from './held-source.ts';
import type { JwtBundleProvider, JwtBundles, Source, X509BundleProvider, X509Bundles } from './source.ts';

/** The bundles alone, kept current: for programs that check others without having an identity to present. */
export interface BundleSource extends Source, X509BundleProvider, JwtBundleProvider {
  readonly x509Bundles: X509Bundles;
  readonly jwtBundles: JwtBundles;
}

/**
 * Follows the X.509 and the JWT bundles that the agent lets this process use.
 *
 * @returns once both have come
 * @throws FinialError as createX509Source
 */
export async function createBundleSource(options: SourceOptions = {}): Promise<BundleSource> {
  const held = await bothOrNeither(
    options,
    { what: 'X.509 bundle', streamOf: (api) => api.x509Bundles },
    { what: 'JWT bundle', streamOf: (api) => api.jwtBundles },
  );
  const [x509, jwt] = held.values;
  return {
    get x509Bundles() {
      return x509.current.bundles;
    },
    get jwtBundles() {
      return jwt.current;
    },
    ...held.source,
  };
}
