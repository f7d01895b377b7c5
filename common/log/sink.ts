import { closeSync, openSync, writeSync } from 'node:fs';
import { FinialError, messageOf } from '../errors.ts';

/** Where lines go. Writing never throws: a daemon does not stop because nobody reads its log. */
export interface LogSink {
  write(line: string): void;
  /** Opens the file anew after it was moved away. @throws FinialError; then the old file stays in use */
  reopen(): void;
  close(): void;
}

/** Attempts to write to a full pipe, 1 ms apart, before the line is dropped. */
const ATTEMPTS = 50;

/**
 * Standard output or standard error. Each line is one synchronous write: nothing is lost in a crash and order is kept;
 * at a few microseconds a line it costs less than a stream of Node's does.
 */
export function streamSink(stream: 'stdout' | 'stderr'): LogSink {
  return descriptorSink(stream === 'stdout' ? 1 : 2);
}

/** An open file, which stays its opener's to close. */
export function descriptorSink(fd: number): LogSink {
  return { write: (line) => writeAll(fd, line), reopen: () => undefined, close: () => undefined };
}

/**
 * A file that is appended to, made with mode 0640.
 *
 * @throws FinialError `failed-precondition` when it cannot be opened
 */
export function fileSink(file: string): LogSink {
  let fd: number | undefined = open(file);
  const close = (): void => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  return {
    write(line) {
      if (fd !== undefined) writeAll(fd, line);
    },
    reopen() {
      const next = open(file);
      close();
      fd = next;
    },
    close,
  };
}

function open(file: string): number {
  try {
    return openSync(file, 'a', 0o640);
  } catch (error) {
    throw new FinialError('failed-precondition', `unable to open log file: ${messageOf(error)}`, { cause: error });
  }
}

function writeAll(fd: number, line: string): void {
  let data = Buffer.from(line);
  for (let attempt = 0; data.length > 0 && attempt < ATTEMPTS; attempt += 1) {
    try {
      data = data.subarray(writeSync(fd, data));
    } catch (error) {
      // Closed, broken or full: there is no place left to say so.
      if (!isFull(error)) return;
      pause();
    }
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}

const never = new Int32Array(new SharedArrayBuffer(4));

function pause(): void {
  Atomics.wait(never, 0, 0, 1);
}
