import { readFileSync } from 'node:fs';

/** However many descriptors there are: connections cost memory too, about 30 kB each when idle (measured). */
const MOST_CONNECTIONS = 8192;

/**
 * How many connections a listener may have open, so that callers cannot use up the descriptors of the process: a quarter of
 * what the system allows it is left for its other work.
 *
 * @param descriptorsEach how many descriptors one connection takes
 * @param limits what `/proc/self/limits` says; unreadable or unlimited counts as plenty
 */
export function mostConnections(descriptorsEach: number, limits: string = ownLimits()): number {
  // Node raises its soft limit to the hard one when it starts.
  const [, soft] = /^Max open files\s+(\d+)\s/m.exec(limits) ?? [];
  if (soft === undefined) return MOST_CONNECTIONS;
  return Math.max(1, Math.min(MOST_CONNECTIONS, Math.floor((Number(soft) * 3) / 4 / descriptorsEach)));
}

function ownLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return '';
  }
}

/** Something that can be cut off. */
export interface Evictable {
  destroy(): void;
}

/** Connections of one kind, no more than a number of them. */
export interface Crowd<T extends Evictable> {
  /** One too many cuts off the one that has been there longest, so that newcomers always find room. */
  add(key: string, member: T): void;
  /** No-op for one that is not there. */
  delete(key: string): void;
  clear(): void;
}

/** Makes an empty crowd. */
export function crowd<T extends Evictable>(most: number): Crowd<T> {
  const members = new Map<string, T>();
  return {
    add(key, member) {
      members.set(key, member);
      if (members.size <= most) return;
      const [[oldestKey, oldest] = []] = members;
      if (oldestKey !== undefined) members.delete(oldestKey);
      oldest?.destroy();
    },
    delete: (key) => void members.delete(key),
    clear() {
      for (const member of members.values()) member.destroy();
      members.clear();
    },
  };
}
