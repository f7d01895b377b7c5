import { spawnSync } from 'node:child_process';

/** Debian's package of this name; .ci/run installs it. */
const COMMAND = 'openssl';

/** What the `openssl` command says about `input`; the second opinion on everything that we write. */
export function openssl(args: readonly string[], input: string | Buffer = ''): string {
  const { error, status, stderr, stdout } = spawnSync(COMMAND, args, { input, encoding: 'utf8', timeout: 10_000 });
  if (error !== undefined) throw new Error(`these tests need the openssl command: ${error.message}`);
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
  return stdout;
}
