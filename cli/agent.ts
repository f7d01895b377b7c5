import type { Cli } from '../common/cli/command.ts';
import { COMPATIBLE_VERSION } from '../common/version.ts';
import { apiFetchJwt } from './agent/api-fetch-jwt.ts';
import { apiFetch, apiFetchX509 } from './agent/api-fetch-x509.ts';
import { apiValidateJwt } from './agent/api-validate-jwt.ts';
import { apiWatch } from './agent/api-watch.ts';
import { healthcheck } from './agent/healthcheck.ts';
import { run } from './agent/run.ts';
import { validate } from './agent/validate.ts';

/** The command line of `spire-agent`. */
export const agentCli: Cli = {
  name: 'spire-agent',
  version: COMPATIBLE_VERSION,
  commands: [apiFetch, apiFetchJwt, apiFetchX509, apiValidateJwt, apiWatch, healthcheck, run, validate],
};
