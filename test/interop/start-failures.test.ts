import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithPeer } from '../support/peer.ts';
import { PodwireExec } from '../support/podwire.ts';
import type { ExecTarget } from './exec-suite.ts';
import { type HopRuntime, hopsTarget } from './hops.ts';

// What `podwire exec` makes of a command that a runtime cannot start: 127 and 126 as shells have them. Needs `npm run build`.

function startFailures(runtime: HopRuntime): void {
  let target: ExecTarget;
  beforeAll(async () => {
    target = await hopsTarget(runtime, (kubeconfig) => new PodwireExec(kubeconfig))();
    await target.client.exec({
      ...target.container,
      argv: ['sh', '-c', 'echo no >/tmp/podwire-plain; chmod 644 /tmp/podwire-plain'],
    });
  });
  afterAll(async () => {
    await target.client.exec({ ...target.container, argv: ['rm', '-f', '/tmp/podwire-plain'] });
    await target[Symbol.asyncDispose]();
  });

  it.each([
    [127, 'no-such-command', 'no such program in the container'],
    [127, '/no/such/command', 'no such program in the container'],
    [126, '/tmp/podwire-plain', 'the program exists but may not be run'],
    [126, '/tmp', 'the program exists but may not be run'],
  ])('ends with %i for %s, and says where, which rule and what to do', async (code, program, rule) => {
    const { exitCode, stderr } = await target.client.exec({ ...target.container, argv: [program] });
    const text = stderr.toString();
    expect({ exitCode, text }).toEqual({ exitCode: code, text: expect.stringContaining(program) as unknown });
    expect(text).toMatch(/^error: Internal error occurred: /);
    expect(text).toContain('where:   runtime');
    expect(text).toContain(`rule:    ${rule}`);
    expect(text).toContain('remedy:  ');
    expect(text).toMatch(/session: [\da-f-]{36}/);
  });
}

describe('a command that our runtime cannot start', () => startFailures('host'));

describeWithPeer('containerd', 'a command that containerd cannot start', () => startFailures('containerd'));
