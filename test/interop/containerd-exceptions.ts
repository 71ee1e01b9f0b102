import type { Exceptions } from './exec-suite.ts';

/** What containerd 1.6 does, whoever asks. */
export const containerdDoes: Exceptions = {
  'leaves no process behind when the client is killed':
    'containerd lets the command run on when its client is gone, and CRI has no call to end one exec',
};

/** What its streaming server does with exec over SPDY, measured without a hop of ours. `ctr` brings pipes of its own. */
export const streamingServerDoes: Exceptions = {
  ...containerdDoes,
  'ends with the command, though nobody read its stdin':
    'containerd never tells the end of 9 to 17 of 100 such commands',
  'ends, though a background child keeps the output open': 'containerd waits until nobody holds the output any more',
};
