import type { Row } from './row.ts';
import { agentRows } from './rows/agents.ts';
import { ceilingRows } from './rows/ceiling.ts';
import { entryRows } from './rows/entries.ts';
import { svidRows } from './rows/svids.ts';

/** THE list of rows, in the order of a run. */
export const rows: readonly Row[] = [...ceilingRows, ...svidRows, ...agentRows, ...entryRows];
