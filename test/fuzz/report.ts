/** What the thread that fuzzes is told to do. */
export interface Order {
  readonly names: readonly string[];
  readonly seed: number;
  readonly millisecondsEach: number;
  /** Folder with a folder of inputs for each target. */
  readonly corpus: string;
  /** Whether to keep what passes new places of the counted sources. */
  readonly isGuided: boolean;
  /** Whether to keep the inputs that show something new in the corpus. */
  readonly keeps: boolean;
  /** What it executes, for the thread that watches. */
  readonly shared: SharedArrayBuffer;
}

/** What came of one target. */
export interface TargetSummary {
  readonly target: string;
  readonly executions: number;
  readonly milliseconds: number;
  /** Inputs to begin with. */
  readonly corpus: number;
  /** Inputs that showed something new. */
  readonly found: number;
  /** Milliseconds, of the slowest execution. */
  readonly slowest: number;
  /** Counted places that were passed. */
  readonly places: number;
}

/** What the thread that fuzzes says. */
export type Report =
  | { readonly summary: TargetSummary }
  | { readonly finding: { readonly target: string; readonly input: Uint8Array; readonly problem: string } };
