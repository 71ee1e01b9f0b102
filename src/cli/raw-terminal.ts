import { spawnSync } from 'node:child_process';
import type { Io } from './io.ts';

/**
 * Puts the local terminal into raw mode: each key goes to the command, ctrl-C too, and its output is shown as it comes.
 *
 * Node's raw mode leaves output processing on, which makes a line feed go to the first column as well; programs that
 * draw (vi, top) use a bare line feed to go straight down. `stty raw` turns that off; without stty the session works,
 * and such a program draws badly.
 *
 * @returns restores the terminal; it also runs at every end of the process. Twice is once.
 */
export function enterRawMode(io: Io): () => void {
  const terminal = io.input();
  terminal.setRawMode?.(true);
  spawnSync('stty', ['raw', '-echo'], { stdio: ['inherit', 'ignore', 'ignore'], timeout: 2000 });
  const leaveList = io.atExit(() => restore());
  let isRaw = true;
  const restore = (): void => {
    if (!isRaw) return;
    isRaw = false;
    leaveList();
    // Back to what it was before raw mode, output processing included: libuv keeps the whole state.
    terminal.setRawMode?.(false);
  };
  return restore;
}
