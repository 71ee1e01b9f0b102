import { randomUUID } from 'node:crypto';
import { type AttachOptions, attach } from '../../client/index.ts';
import { toError } from '../../common/errors.ts';
import type { Outcome } from '../../common/outcome.ts';
import type { Io } from '../io.ts';
import { joinLocalStreams, terminalSize } from '../local-streams.ts';
import { enterRawMode } from '../raw-terminal.ts';

/** How joining a container went: it could not be joined, or the session has this outcome. */
export type Attached =
  | { readonly refused: Error }
  | {
      readonly outcome: Outcome;
      readonly sessionId: string;
      /** Not a byte of output came. */
      readonly isSilent: boolean;
    };

/**
 * Joins the local streams with a container's own command until that ends. At a local terminal and with `tty`, that is in
 * raw mode meanwhile.
 */
export async function attachToPod(options: AttachOptions, io: Io): Promise<Attached> {
  const sessionId = randomUUID();
  const isRaw = options.tty === true && options.stdin === true && io.inIsTerminal;
  const restore = isRaw ? enterRawMode(io) : () => {};
  try {
    const session = await attach({ ...options, sessionId, size: terminalSize(io) });
    let isSilent = true;
    for (const output of [session.stdout, session.stderr]) {
      output?.once('data', () => {
        isSilent = false;
      });
    }
    await joinLocalStreams(session, io);
    const outcome = await session.completed;
    // A container that ends in this moment is refused by a hop further on, when the session is open already.
    if (outcome.kind === 'failed' && outcome.code === 'ERR_REMOTE' && isSilent) return { refused: outcome.error };
    return { outcome, sessionId, isSilent };
  } catch (thrown) {
    return { refused: toError(thrown) };
  } finally {
    restore();
  }
}
