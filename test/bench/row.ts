import type { RpcChannel } from '../../common/rpc/client.ts';
import type { Latencies } from './histogram.ts';
import type { BenchAgent } from './seed/api.ts';
import type { Site } from './target/launch.ts';

/** What a target must offer for a row. */
export type Need = 'nothing' | 'server' | 'agent' | 'bin';

/** A server that answers calls, whoever started it. */
export interface ServerUnderTest {
  /** `host:port` of the agent-facing API. */
  readonly address: string;
  readonly adminSocket: string;
  readonly admin: RpcChannel;
  readonly pid: number;
  /** IDs of agents that the bench played against this server, to be taken away where the server is not the bench's own. */
  readonly played: string[];
  /** Of the agents that the bench plays against this server, the n-th; attested when first asked for. */
  agent(n: number): Promise<BenchAgent>;
}

/** An agent that serves the Workload API, and the server behind it. */
export interface AgentUnderTest {
  readonly socketPath: string;
  readonly pid: number;
  readonly server: ServerUnderTest;
  /** Agents that may be the one behind the socket; entries for the bench's own process are made below each. */
  readonly ids: readonly string[];
}

/** What a row works with: one target, and how much of everything. */
export interface Bench {
  readonly label: string;
  /** Length of a measured window. */
  readonly seconds: number;
  /** Sizes are divided by this in a quick run, which only shows that the harness works. */
  readonly shrink: number;
  /** A server with so many seeded entries; 0 for whatever it has. Those the bench starts are kept for further rows. */
  server(entries: number): Promise<ServerUnderTest>;
  agent(): Promise<AgentUnderTest>;
  /** A stopped server and agent with so many seeded entries on disk, removed after the row. Needs `bin`. */
  site(entries: number): Promise<Site>;
  /** The folder of the programs. Needs `bin`. */
  readonly bin: string;
}

/** What a row measured. */
export interface Measured {
  readonly ops: number;
  readonly seconds: number;
  /** How often each failure came up. */
  readonly failures: Readonly<Record<string, number>>;
  readonly latencies: Latencies;
  /** Of the process under test, all its threads, in the measured window. */
  readonly cpuSeconds?: number;
  /** Its largest resident memory in that window. */
  readonly rssMb?: number;
  /** The longest that a quiet side connection waited for a trivial answer. */
  readonly stallMs?: number;
  /** How many of its answers came later than the budget for stalls allows. */
  readonly stalls?: number;
  /** Share of the time that the busiest load thread was on a processor, and that one waited for a processor. */
  readonly busy?: number;
  readonly starved?: number;
  /** Answers that were verified whole, and what was wrong with them. */
  readonly verified: number;
  readonly wrong: readonly string[];
  /** Further numbers by name, with the unit at the end of the name. */
  readonly extra?: Readonly<Record<string, number>>;
}

/** One line of the table. */
export interface Row {
  readonly name: string;
  /** What one operation is. */
  readonly what: string;
  readonly needs: Need;
  run(bench: Bench): Promise<Measured>;
}
