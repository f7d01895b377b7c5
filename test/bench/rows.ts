import type { Row } from './row.ts';
import { agentRows } from './rows/agents.ts';
import { ceilingRows } from './rows/ceiling.ts';
import { commandRows } from './rows/commands.ts';
import { entryRows } from './rows/entries.ts';
import { memoryRows } from './rows/memory.ts';
import { startRows } from './rows/starts.ts';
import { svidRows } from './rows/svids.ts';
import { syncRows } from './rows/sync.ts';
import { updateRows } from './rows/updates.ts';
import { workloadRows } from './rows/workload.ts';

/** THE list of rows, in the order of a run. */
export const rows: readonly Row[] = [
  ...ceilingRows,
  ...svidRows,
  ...agentRows,
  ...entryRows,
  ...syncRows,
  ...workloadRows,
  ...updateRows,
  ...startRows,
  ...memoryRows,
  ...commandRows,
];
