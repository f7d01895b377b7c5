import path from 'node:path';
import { type Clock, systemClock } from '../clock.ts';
import { formatJson, formatText } from './format.ts';
import { LOG_LEVELS, type LogFields, type Logger, type LogLevel } from './logger.ts';
import { limitRepeats } from './repeats.ts';
import { fileSink, type LogSink, streamSink } from './sink.ts';

/** What is written, in which form and where to. */
export interface LoggingOptions {
  readonly level: LogLevel;
  readonly format: 'text' | 'json';
  /** Fractions of seconds in timestamps: the reference has them when the format was chosen explicitly. */
  readonly nano?: boolean;
  /** Appended to instead of `stream`. */
  readonly file?: string | undefined;
  /** Standard output when absent. */
  readonly stream?: 'stdout' | 'stderr';
  /** Adds `file` (with the line) and `func` of the code that logs; costs several microseconds a line. */
  readonly sourceLocation?: boolean;
  readonly clock?: Pick<Clock, 'now'>;
  /** Instead of `file` and `stream`, for tests. */
  readonly sink?: LogSink;
}

/** The logger of a process and the means to change it while the process runs. */
export interface Logging {
  readonly root: Logger;
  readonly level: LogLevel;
  /** The level it began with, to which operators can return. */
  readonly launchLevel: LogLevel;
  setLevel(level: LogLevel): void;
  /** Opens the log file anew. @throws FinialError; then the old file stays in use */
  reopen(): void;
  close(): void;
}

/** Levels whose lines callers can cause at will. The audit log is written at `info`, all of it. */
const REPEATABLE: ReadonlySet<LogLevel> = new Set(['error', 'warning']);

/** @throws FinialError `failed-precondition` when the log file cannot be opened */
export function createLogging(options: LoggingOptions): Logging {
  const sink =
    options.sink ?? (options.file === undefined ? streamSink(options.stream ?? 'stdout') : fileSink(options.file));
  const { now } = options.clock ?? systemClock;
  const format = options.format === 'json' ? formatJson : formatText;
  let level = options.level;
  let threshold = LOG_LEVELS.indexOf(level);

  const judge = limitRepeats();

  const emit: Emit = (at, message, bound, fields, caller) => {
    if (LOG_LEVELS.indexOf(at) > threshold) return;
    const time = now();
    const all = { ...bound, ...fields };
    const verdict = REPEATABLE.has(at) ? judge(message, all, time) : undefined;
    if (verdict?.write === false) return;
    const location = options.sourceLocation === true ? sourceLocation(caller) : undefined;
    const record = { level: at, message, time: new Date(time), fields: { ...all, ...verdict?.fields, ...location } };
    sink.write(format(record, options.nano === true));
  };
  return {
    root: bind(emit, {}),
    get level() {
      return level;
    },
    launchLevel: options.level,
    setLevel(next) {
      level = next;
      threshold = LOG_LEVELS.indexOf(next);
    },
    reopen: () => sink.reopen(),
    close: () => sink.close(),
  };
}

type Log = (message: string, fields?: LogFields) => void;
type Emit = (level: LogLevel, message: string, bound: LogFields, fields: LogFields | undefined, caller: Log) => void;

function bind(emit: Emit, bound: LogFields): Logger {
  const at = (level: LogLevel): Log => {
    const log: Log = (message, fields) => emit(level, message, bound, fields, log);
    return log;
  };
  return {
    error: at('error'),
    warn: at('warning'),
    info: at('info'),
    debug: at('debug'),
    trace: at('trace'),
    with: (fields) => bind(emit, { ...bound, ...fields }),
  };
}

const FRAME = /^\s*at (?:(?:async )?(\S.*?) \()?(?:file:\/\/)?([^()]+):(\d+):\d+\)?$/m;

/** The code that called `log`. */
function sourceLocation(log: Log): LogFields {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, log);
  const [, func = '', file = '', line = ''] = FRAME.exec(holder.stack ?? '') ?? [];
  return file === '' ? {} : { file: `${path.basename(file)}:${line}`, func: func === '' ? undefined : func };
}
