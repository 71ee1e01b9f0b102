import { expect, it } from 'vitest';
import { ClientNode } from '../support/client-node.ts';
import { exitCodeOf } from '../support/exec-client.ts';
import { hopsTarget } from './hops.ts';

it('client-node → hops → our runtime: a terminal has its size and follows it', async () => {
  let client: ClientNode | undefined;
  await using target = await hopsTarget('host', (kubeconfig) => (client = new ClientNode(kubeconfig)))();
  const script = `until [ "$(stty size)" = "33 91" ]; do sleep 0.1; done; echo right size
    until [ "$(stty size)" = "40 120" ]; do sleep 0.1; done; echo changed; exit 5`;
  const terminal = client!.execTty({ ...target.container, argv: ['sh', '-c', script] }, 91, 33);
  await terminal.stdout.waitFor('right size\r\n');
  terminal.resize(120, 40);
  await terminal.stdout.waitFor('changed\r\n');
  expect(exitCodeOf(await terminal.done)).toBe(5);
});
