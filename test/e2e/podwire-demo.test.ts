import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runChild } from '../support/child.ts';
import { describeWithPeer } from '../support/peer.ts';
import { podwireArgv } from '../support/podwire.ts';
import { processesWith } from '../support/process-table.ts';
import { Terminal } from '../support/terminal.ts';

// `podwire demo`, which `npm start` runs: four hops, one session, nothing left. Needs `npm run build`.

const [node = '', ...demo] = podwireArgv('demo');
let temporary: string;
let env: NodeJS.ProcessEnv;
beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'podwire-test-'));
  env = { ...process.env, TMPDIR: temporary };
});
afterEach(() => {
  expect(processesWith(temporary)).toEqual([]);
  expect(readdirSync(temporary)).toEqual([]);
  rmSync(temporary, { recursive: true });
});

describe('podwire demo without a terminal', () => {
  it('shows what came back from the container and ends with 0', async () => {
    const { stdout, exitCode } = await runChild(node, demo, { env });
    expect(stdout.toString()).toMatch(/^hello from the container demo of the pod default\/demo, .*\nuid=/);
    expect(exitCode).toBe(0);
  });

  it('runs the given command and ends with its code', async () => {
    const argv = [...demo, '--', 'sh', '-c', 'echo out; exit 9'];
    const { stdout, stderr, exitCode } = await runChild(node, argv, { env });
    expect([stdout.toString(), exitCode]).toEqual(['out\n', 9]);
    expect(stderr.toString()).toBe('command terminated with exit code 9\n');
  });

  it('keeps its state where it is told to', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-state-'));
    await runChild(node, [...demo, '--state-dir', folder, '--', 'true'], { env });
    expect(existsSync(join(folder, 'kubeconfig'))).toBe(true);
    rmSync(folder, { recursive: true });
  });
});

describeWithPeer('tmux', 'podwire demo at a terminal', () => {
  it('is a shell behind four hops that takes everything with it', async () => {
    await using terminal = await Terminal.start([node, ...demo], { env });
    await terminal.waitFor(/exit stops everything\.\n(.*\n)*[#$]$/m, 30_000);
    await terminal.type('tty; exit 4\n');
    await terminal.waitFor('/dev/pts/');
    expect(await terminal.exitCode(20_000)).toBe(4);
  });
});
