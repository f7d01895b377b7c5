import { type Cli, runCli } from '../common/cli/command.ts';
import { processIo } from '../common/cli/process-io.ts';

/** Runs `cli` with the arguments of this process and leaves its exit code behind. What the launchers in bin/ call. */
export async function launch(cli: Cli): Promise<void> {
  process.exitCode = await runCli(cli, process.argv.slice(2), processIo());
}
