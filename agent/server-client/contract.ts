import type { KeyObject } from 'node:crypto';
import type { Closable } from '../../common/lifecycle.ts';
import type { Key } from '../../plugins/key-manager/contract.ts';
import type { AgentNodeAttestor } from '../../plugins/node-attestor/contract.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import type { Entry } from '../../spiffe/registration/entry.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

/** The agent's own identity: its chain (DER, leaf first) with the key that a KeyManager holds for it. */
export interface AgentIdentity {
  readonly id: SpiffeId;
  readonly chain: readonly Buffer[];
  readonly key: Key;
  /** The same key, for TLS. */
  readonly privateKey: KeyObject;
  /** Unix milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Whether the node may attest again by itself instead of renewing. */
  readonly reattestable: boolean;
}

/** What the server signed for the agent itself. */
export interface SignedAgentSvid {
  readonly chain: readonly Buffer[];
  readonly reattestable: boolean;
}

/** What the agent may ask of a server that it has not yet proved anything to. */
export interface AttestationClient {
  /** Runs the attestation dialogue. @throws FinialError with the server's code and words */
  attest(attestor: AgentNodeAttestor, csr: Buffer, signal: AbortSignal): Promise<SignedAgentSvid>;
  bundle(signal: AbortSignal): Promise<Bundle>;
  close(): void;
}

/** An entry as agents know it: lifetimes and DNS names stay with the server. */
export type AgentEntry = Omit<Entry, 'parentId' | 'x509SvidTtl' | 'jwtSvidTtl' | 'expiresAt' | 'dnsNames'>;

/** What decides whether a held entry is still the server's. */
export type EntryVersion = Pick<Entry, 'revisionNumber' | 'createdAt'>;

export interface SignedX509Svid {
  readonly chain: readonly Buffer[];
}

export interface SignedJwtSvid {
  readonly id: SpiffeId;
  readonly token: string;
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/**
 * The server as an attested agent sees it. One connection is kept and shared; it is made anew after an error and
 * whenever the agent's identity or the bundle changes. Every call is bounded by 30 seconds.
 */
export interface ServerClient extends Closable {
  /**
   * The entries that this agent is authorized for, by ID. Entries whose version in `held` is the server's are not sent
   * again: the same object comes back. Malformed entries are left out with a warning.
   */
  syncEntries(held: ReadonlyMap<string, AgentEntry>, signal: AbortSignal): Promise<ReadonlyMap<string, AgentEntry>>;
  bundle(signal: AbortSignal): Promise<Bundle>;
  /** Undefined when the server has none, or a malformed one. */
  federatedBundle(trustDomain: TrustDomain, signal: AbortSignal): Promise<Bundle | undefined>;
  /** Signs in one batch. An entry that the server did not sign for is absent from the answer. */
  signX509Svids(
    requests: readonly { readonly entryId: string; readonly csr: Buffer }[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, SignedX509Svid>>;
  signJwtSvid(entryId: string, audience: readonly string[], signal: AbortSignal): Promise<SignedJwtSvid>;
  renewAgent(csr: Buffer, signal: AbortSignal): Promise<SignedAgentSvid>;
  postStatus(agentVersion: string, signal: AbortSignal): Promise<void>;
  /**
   * The server's hints that entries or bundles may have changed; the first comes when the server listens. Ends when the
   * server wants it to, every few minutes, and when the connection is dropped: another is then to be opened. Bounded by
   * five minutes instead of 30 seconds.
   *
   * @throws FinialError `unimplemented` from a server that gives no hints, as the reference
   */
  hints(signal: AbortSignal): AsyncIterable<unknown>;
  /** Drops the connection, so that the next call is made with the current identity and bundle. */
  reconnect(): void;
}
