import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BackgroundChild } from '../../support/child.ts';
import { CONTAINER, podNames } from './chain-pods.ts';
import { HopChain } from './hop-chain.ts';
import { SHORT_GRACE_MS } from './short-limits.ts';
import { commandsOf, leftBehind } from './truth.ts';

const MAIN = resolve(import.meta.dirname, '../../support/hop-main.mjs');

/** Besides the grace: for a machine that does other things meanwhile. */
const SLACK_MS = 15_000;

/** A shell, a child, and a grandchild that has left both parent and session. */
const PROCESSES = 3;
const family = `export FAULT_MARKER="$0"
(setsid sh -c "echo a; exec sleep 100000" &)
sh -c "echo b; exec sleep 100000" &
wait`;
const scripts = { obedient: family, deaf: `trap "" HUP; ${family}` };

let chain: HopChain;
beforeAll(async () => {
  chain = await HopChain.start();
});
afterAll(() => chain[Symbol.asyncDispose]());

const cases = (['websocket', 'spdy'] as const).flatMap((transport) =>
  [false, true].flatMap((tty) => Object.values(podNames).map((pod) => ({ transport, tty, pod }))),
);

it.each(cases)(
  'ends a command and all that came from it when its client gets kill -9: $transport, tty $tty, pod $pod',
  async ({ transport, tty, pod }) => {
    const sessions = Object.entries(scripts).map(async ([title, script]) => {
      const marker = `killed-client-${process.pid}-${transport}-${tty}-${pod}-${title}`;
      const command = ['sh', '-c', script, marker];
      const options = { server: chain.apiserver.url, pod, container: CONTAINER, command, transport, tty, stdin: true };
      await using client = new BackgroundChild(process.execPath, [MAIN, 'client', JSON.stringify(options)]);
      await client.waitForLog(/^output$/m);
      const missing = (): string[] => (commands(marker).length < PROCESSES ? ['a process that has not started'] : []);
      expect(await leftBehind(missing)).toEqual([]);
      await client.kill();
      expect(await leftBehind(() => commands(marker), SHORT_GRACE_MS + SLACK_MS), title).toEqual([]);
    });
    await Promise.all(sessions);
    expect(await leftBehind(() => chain.remains())).toEqual([]);
  },
);

/** The client's own command line has the marker too. */
function commands(marker: string): string[] {
  return commandsOf(marker).filter((command) => !command.includes(MAIN));
}
