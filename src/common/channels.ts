/**
 * The streams of one exec or attach session.
 *
 * Over WebSocket a stream is a channel number, the first byte of each message; over SPDY it is the value of the
 * header `streamtype`.
 */
export const streamChannels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;

export type StreamType = keyof typeof streamChannels;

/** v5 only: a message `[255, channel]` says that the sender writes no more on that channel. */
export const CLOSE_CHANNEL = 255;

/** SPDY clients open their streams in this order; each waits for its SYN_REPLY. */
export const streamOrder = ['error', 'stdin', 'stdout', 'stderr', 'resize'] as const satisfies readonly StreamType[];

/** Which streams a session has, as asked for by the client. */
export interface StreamOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** The stream types that both sides expect for `options`; a TTY has no stderr of its own. */
export function expectedStreams(options: StreamOptions, canResize: boolean): StreamType[] {
  return streamOrder.filter((type) => {
    switch (type) {
      case 'error':
        return true;
      case 'stdin':
        return options.stdin;
      case 'stdout':
        return options.stdout;
      case 'stderr':
        return options.stderr && !options.tty;
      case 'resize':
        return options.tty && canResize;
    }
  });
}
