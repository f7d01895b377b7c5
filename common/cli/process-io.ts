import process from 'node:process';
import type { CommandIo } from './command.ts';

/** The terminal, pipes and environment of this process. A reader that goes away early (`| head`) is no failure. */
export function processIo(): CommandIo {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: Error) => {
      if (!('code' in error) || error.code !== 'EPIPE') throw error;
    });
  }
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
    stdin: process.stdin,
    cwd: process.cwd(),
  };
}
