import { constants } from 'node:os';
import { readText } from './file-text.ts';

/** Number of rt_sigtimedwait(2), where we know it. */
const SIGNAL_WAIT = ({ x64: 128, arm64: 137 } as Readonly<Record<string, number>>)[process.arch];
const DEAF_LOOKS = 4;
/** In ms. */
const DEAF_LOOK_MS = 25;

/**
 * Whether `signal` is lost: the kernel keeps from the first process of a pid namespace what it neither catches nor blocks
 * nor waits for. It is looked at more than once: an init blocks signals and waits for them by turns.
 */
export async function isDeafTo(first: number | undefined, signal: NodeJS.Signals | number): Promise<boolean> {
  const number = typeof signal === 'number' ? signal : constants.signals[signal];
  for (let look = 0; look < DEAF_LOOKS; look += 1) {
    if (look > 0) await new Promise((resolve) => setTimeout(resolve, DEAF_LOOK_MS));
    if (!drops(first, number)) return false;
  }
  return true;
}

/** What cannot be read is taken for one that hears. */
function drops(first: number | undefined, signal: number): boolean {
  const isWaiting = (): boolean => {
    const call = readText(`/proc/${first}/syscall`);
    return call === '' || SIGNAL_WAIT === undefined || call.startsWith(`${SIGNAL_WAIT} `);
  };
  if (isWaiting()) return false;
  const status = readText(`/proc/${first}/status`);
  const heard = ['SigCgt', 'SigBlk'].map((field) => {
    const [, bits = '0'] = new RegExp(`^${field}:\\s*([0-9a-f]+)`, 'm').exec(status) ?? [];
    return (BigInt(`0x${bits}`) >> BigInt(signal - 1)) & 1n;
  });
  return /^NSpid:.*\s\d+\s+1$/m.test(status) && heard.every((bit) => bit === 0n) && !isWaiting();
}
