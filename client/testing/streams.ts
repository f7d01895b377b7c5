import type { FinialError } from '../../common/errors.ts';

/** What happens to streams that are open: a message as it is, the end with OK, or a failure. */
export type StreamEvent = { readonly message: Buffer } | { readonly end: FinialError | undefined };

/** What a stream says. */
export interface StreamContent {
  /** The message that tells how things stand now. @throws FinialError when the caller may have none (any more) */
  render(): Promise<Buffer>;
  /** While true the stream stays open and keeps to itself what has changed. */
  isSilent(): boolean;
}

/** The streams that are open, by method. */
export interface OpenStreams {
  /** Runs one stream: how things stand at once, then again whenever that has changed, until it is ended or aborted. */
  run(method: string, content: StreamContent, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined>;
  /** How many streams of a method are open. */
  count(method: string): number;
  /** Tells the open streams of these methods; none hears of it that opens later. */
  tell(methods: readonly string[], event: StreamEvent): void;
  /** Lets every stream look whether it has something new to say. */
  wake(): void;
}

interface OpenStream {
  readonly method: string;
  readonly events: StreamEvent[];
  stale: boolean;
  ring(): void;
}

/** No streams yet. */
export function openStreams(): OpenStreams {
  const open = new Set<OpenStream>();
  return {
    async *run(method, content, signal) {
      const stream: OpenStream = { method, events: [], stale: true, ring: () => undefined };
      const ring = (): void => stream.ring();
      open.add(stream);
      signal.addEventListener('abort', ring, { once: true });
      try {
        yield* messages(stream, content, signal);
      } finally {
        open.delete(stream);
        signal.removeEventListener('abort', ring);
      }
    },
    count: (method) => Array.from(open).filter((stream) => stream.method === method).length,
    tell(methods, event) {
      for (const stream of open) {
        if (!methods.includes(stream.method)) continue;
        stream.events.push(event);
        stream.ring();
      }
    },
    wake() {
      for (const stream of open) {
        stream.stale = true;
        stream.ring();
      }
    },
  };
}

/** Scripted events go before changes; changes in between are told as one. Equal messages are not repeated. */
async function* messages(
  stream: OpenStream,
  content: StreamContent,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  let last: Buffer | undefined;
  while (!signal.aborted) {
    const rung = new Promise<void>((resolve) => {
      stream.ring = resolve;
    });
    const event = stream.events.shift();
    if (event !== undefined && 'message' in event) {
      yield event.message;
    } else if (event !== undefined) {
      if (event.end !== undefined) throw event.end;
      return;
    } else if (stream.stale && !content.isSilent()) {
      stream.stale = false;
      const message = await content.render();
      if (last?.equals(message) !== true) yield message;
      last = message;
    } else {
      await rung;
    }
  }
}
