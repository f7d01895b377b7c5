import type { Cli } from '../common/cli/command.ts';
import { COMPATIBLE_VERSION } from '../common/version.ts';
import { agentBan } from './server/agent-ban.ts';
import { agentCount } from './server/agent-count.ts';
import { agentEvict } from './server/agent-evict.ts';
import { agentList } from './server/agent-list.ts';
import { agentShow } from './server/agent-show.ts';
import { bundleCount } from './server/bundle-count.ts';
import { bundleShow } from './server/bundle-show.ts';
import { entryCount } from './server/entry-count.ts';
import { entryCreate } from './server/entry-create.ts';
import { entryDelete } from './server/entry-delete.ts';
import { entryShow } from './server/entry-show.ts';
import { entryUpdate } from './server/entry-update.ts';
import { healthcheck } from './server/healthcheck.ts';
import { jwtMint } from './server/jwt-mint.ts';
import { run } from './server/run.ts';
import { tokenGenerate } from './server/token-generate.ts';
import { validate } from './server/validate.ts';
import { x509Mint } from './server/x509-mint.ts';

/** The command line of `spire-server`. */
export const serverCli: Cli = {
  name: 'spire-server',
  version: COMPATIBLE_VERSION,
  commands: [
    agentBan,
    agentCount,
    agentEvict,
    agentList,
    agentShow,
    bundleCount,
    bundleShow,
    entryCount,
    entryCreate,
    entryDelete,
    entryShow,
    entryUpdate,
    healthcheck,
    jwtMint,
    run,
    tokenGenerate,
    validate,
    x509Mint,
  ],
};
