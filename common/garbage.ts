import v8 from 'node:v8';
import vm from 'node:vm';

/**
 * Collects all garbage at once and gives its memory back. Takes 16 ms in a server that has just started, and 60 ms in one
 * that has read a million entries.
 *
 * V8 on its own leaves it lying for as long as nothing new is needed: on Node.js 24 the server with a million entries stayed
 * at 970 MB without this and is at 510 MB with it, an empty one at 109 and 92 MB, an agent at 95 and 86 MB (measured).
 */
export function collectGarbage(): void {
  // Node.js offers it on the command line alone, which the program has passed by the time it knows that it is a server.
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as (options: object) => void;
  // "Last resort" also gives back the memory for new objects.
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
