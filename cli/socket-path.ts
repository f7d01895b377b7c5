import path from 'node:path';
import { commandFailure } from './failure.ts';

/** How one of the two products names its socket. */
export interface SocketNaming {
  readonly defaultPath: string;
  /** Environment variable with a path. */
  readonly variable: string;
  /** Environment variable with a path that holds `%i` for the instance. */
  readonly templateVariable: string;
}

/**
 * The socket a command talks to. A `-socketPath` other than the default beats `-instance`, which beats the environment,
 * which beats the default; an instance without a usable template is an error even when `-socketPath` wins.
 *
 * @returns an absolute path
 */
export function resolveSocketPath(
  naming: SocketNaming,
  flags: { readonly socketPath: string; readonly instance: string },
  env: Readonly<Record<string, string | undefined>>,
): string {
  const ofInstance = flags.instance === '' ? undefined : instancePath(naming, flags.instance, env);
  const chosen =
    flags.socketPath !== naming.defaultPath
      ? flags.socketPath
      : (ofInstance ?? (env[naming.variable] || naming.defaultPath));
  return path.resolve(chosen);
}

function instancePath(
  naming: SocketNaming,
  instance: string,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const template = env[naming.templateVariable];
  if (template === undefined || template === '') {
    throw commandFailure(
      `${naming.templateVariable} environment variable must be defined when using the instance flag`,
    );
  }
  if (!template.includes('%i')) throw commandFailure(`failed to find %i in ${naming.templateVariable}`);
  return template.replaceAll('%i', instance);
}
