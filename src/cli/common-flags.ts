import { boolFlag, intFlag } from './flag.ts';

/** What every command has. */
export const commonFlags = {
  help: boolFlag({ short: 'h', help: 'show this help' }),
  v: intFlag({
    short: 'v',
    value: 'LEVEL',
    help: 'log to stderr what happens: 1 sessions and requests, 6 calls, 8 frames',
    initial: 0,
    shownDefault: '0',
    min: 0,
    max: 10,
  }),
} as const;
