import { FinialError } from '../common/errors.ts';

/** The environment variable with the address of the Workload API (SPIFFE Workload Endpoint 4). */
export const ENDPOINT_VARIABLE = 'SPIFFE_ENDPOINT_SOCKET';

/**
 * The path of the Unix socket that an address such as `unix:///run/agent/api.sock` names.
 *
 * @param address taken from the environment when absent
 * @throws FinialError `invalid-argument` naming the broken rule of SPIFFE Workload Endpoint 4
 */
export function socketPathOf(
  address: string | undefined,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const text = address ?? env[ENDPOINT_VARIABLE];
  if (text === undefined || text === '') {
    throw new FinialError('invalid-argument', `no Workload API address: pass one or set ${ENDPOINT_VARIABLE}`);
  }
  const scheme = /^([a-z]+):(.*)$/.exec(text);
  if (scheme?.[1] !== 'unix') {
    throw new FinialError('invalid-argument', `Workload API address must begin with unix: ("${text}")`);
  }
  const path = (scheme[2] ?? '').replace(/^\/\/(?=\/)/, '');
  if (!path.startsWith('/') || path.startsWith('//')) {
    throw new FinialError('invalid-argument', `Workload API address must hold an absolute path ("${text}")`);
  }
  if (/[?#]/.test(path)) {
    throw new FinialError('invalid-argument', `Workload API address must not hold a query or a fragment ("${text}")`);
  }
  return path;
}
