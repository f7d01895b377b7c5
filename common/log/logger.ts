/** Names of the reference, most severe first. */
export const LOG_LEVELS = ['panic', 'fatal', 'error', 'warning', 'info', 'debug', 'trace'] as const;
/** How much an event matters, and from which on events are written. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Values of a log line besides its message. An `error` field may hold the error itself; only its message is printed. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where code writes what happened. Field names are snake_case as in the reference, as scripts in the field grep them. */
export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  trace(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to each line. */
  with(fields: LogFields): Logger;
}

/** Drops everything. */
export const silentLogger: Logger = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  trace: () => undefined,
  with: () => silentLogger,
};
