import { resolve } from 'node:path';
import { expect, it } from 'vitest';
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

it.each(
  (['websocket', 'spdy'] as const).flatMap((transport) =>
    [false, true].flatMap((tty) => Object.values(podNames).map((pod) => ({ transport, tty, pod }))),
  ),
)(
  'ends a command and all that came from it when its client gets kill -9: $transport, tty $tty, pod $pod',
  async ({ transport, tty, pod }) => {
    await using chain = await HopChain.start();
    const marker = `killed-client-${transport}-${tty}-${pod}-${process.pid}`;
    for (const [title, script] of [
      ['obedient', family],
      ['deaf to the hang-up', `trap "" HUP; ${family}`],
    ] as const) {
      const server = `http://127.0.0.1:${chain.port}`;
      const command = ['sh', '-c', script, `${marker}-${title}`];
      const options = { server, pod, container: CONTAINER, command, transport, tty, stdin: true };
      const client = new BackgroundChild(process.execPath, [MAIN, 'client', JSON.stringify(options)]);
      await client.waitForLog(/^output$/m);
      expect(await leftBehind(() => (commands(marker).length >= PROCESSES ? [] : ['not all have started']))).toEqual(
        [],
      );
      await client.kill();
      const remains = (): string[] => [...commands(marker), ...chain.remains()];
      expect(await leftBehind(remains, SHORT_GRACE_MS + SLACK_MS), title).toEqual([]);
    }
  },
);

/** The client's own command line has the marker too. */
function commands(marker: string): string[] {
  return commandsOf(marker).filter((command) => !command.includes(MAIN));
}
