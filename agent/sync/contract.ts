import type { Clock } from '../../common/clock.ts';
import type { Task } from '../../common/lifecycle.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { Subject } from '../../common/observable.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import type { KeyType } from '../../spiffe/signer.ts';
import type { CacheFeed } from '../cache/contract.ts';
import type { AgentIdentity, ServerClient } from '../server-client/contract.ts';
import type { FailureKind } from './failure.ts';

/** How an agent keeps up with its server. */
export interface SyncConfig {
  /** How often the server is asked for changes, ms. */
  readonly syncInterval: number;
  readonly workloadKeyType: KeyType;
  /** How long SVIDs must outlive an outage of the server, ms; 0 for none. */
  readonly availabilityTarget: number;
}

/** What synchronisation is made of. */
export interface SyncDependencies {
  readonly client: ServerClient;
  readonly feed: CacheFeed;
  /** Of the agent's own trust domain; published before it is used. */
  readonly bundle: Subject<Bundle>;
  readonly identity: Subject<AgentIdentity>;
  /** Signs a new identity for the agent and keeps it on disk. @throws FinialError */
  renewIdentity(current: AgentIdentity, signal: AbortSignal): Promise<AgentIdentity>;
  /** Keeps the bundle on disk. */
  saveBundle(bundle: Bundle): Promise<void>;
  /**
   * Decides what follows when the server will not have this agent any more, or is not to be trusted.
   *
   * @returns the new identity, when the agent could attest anew
   * @throws when the agent has to end
   */
  rejected(kind: Exclude<FailureKind, 'retry'>, error: unknown, signal: AbortSignal): Promise<AgentIdentity>;
  /** Told of the keys of JWT authorities that must not be relied on any more. */
  dropJwtSvids(keyIds: readonly string[]): void;
  readonly config: SyncConfig;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

/** The loop that keeps the agent up to date. */
export interface Sync {
  /** One whole synchronisation: entries, bundles, SVIDs. @throws FinialError */
  once(signal: AbortSignal): Promise<void>;
  /** Synchronises until stopped. One thing at a time: an identity is never renewed while calls are made under it. */
  readonly run: Task;
  /** Unix milliseconds of the last success; 0 before the first. */
  readonly lastSuccess: number;
}
