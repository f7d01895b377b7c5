import type { Target } from './target.ts';
import { bundleMapTarget, bundleTarget, jwksTarget } from './targets/bundles.ts';
import { certificatesTarget, certificateTarget } from './targets/certificate.ts';
import { csrTarget } from './targets/csr.ts';
import { derTarget } from './targets/der.ts';
import { endpointTarget } from './targets/endpoint.ts';
import { hclTarget } from './targets/hcl.ts';
import { jsonTarget } from './targets/json.ts';
import { jwtSvidTarget } from './targets/jwt-svid.ts';
import { pemTarget } from './targets/pem.ts';
import { privateKeyTarget } from './targets/private-key.ts';
import { selectorTarget } from './targets/selector.ts';
import { spiffeIdTarget, trustDomainTarget } from './targets/spiffe-id.ts';
import { witKeyTarget, witProofTarget, witSvidTarget } from './targets/wit-svid.ts';
import { workloadApiTarget } from './targets/workload-api.ts';
import { x509PathTarget } from './targets/x509-path.ts';
import { ownX509SvidTarget } from './targets/x509-svid.ts';
import { x509VerifyTarget } from './targets/x509-verify.ts';

/** All that is fuzzed. */
export const TARGETS: readonly Target[] = [
  spiffeIdTarget,
  trustDomainTarget,
  selectorTarget,
  derTarget,
  certificateTarget,
  certificatesTarget,
  csrTarget,
  pemTarget,
  privateKeyTarget,
  ownX509SvidTarget,
  x509VerifyTarget,
  x509PathTarget,
  jwtSvidTarget,
  witSvidTarget,
  witProofTarget,
  witKeyTarget,
  jsonTarget,
  bundleTarget,
  jwksTarget,
  bundleMapTarget,
  workloadApiTarget,
  hclTarget,
  endpointTarget,
];
