import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { mustRun, runChild } from './support/child.ts';
import { describeWithPeer } from './support/peer.ts';

const cwd = resolve(import.meta.dirname, '..');

function bench(...args: string[]): Promise<string> {
  return mustRun('npm', ['run', '--silent', 'bench', '--', ...args], { cwd, deadlineMs: 110_000 });
}

describeWithPeer('haproxy', 'the benches', () => {
  it('relay prints both tables with a ratio in every row that has a peer', async () => {
    const said = await bench('relay', '--mib', '4', '--tls-mib', '2', '--rounds', '1');
    const rows = said.split('\n').filter((line) => /^\| (up|down): /.test(line));
    expect(said).toContain('### Relay hop, plain');
    expect(said).toContain('### Relay hop, TLS on both sides');
    expect(rows).toHaveLength(2 * 4 + 2 * 3);
    for (const row of rows.filter((line) => line.includes('haproxy'))) {
      expect(row).toMatch(/\| +\d+ \| +\d+\.\d\d × \| +\d+\.\d\d \|/);
    }
  }, 120_000);

  it('name themselves and their flags when asked for one that is not there', async () => {
    const { exitCode, stderr } = await runChild('npm', ['run', '--silent', 'bench', '--', 'nonesuch'], {
      cwd,
      deadlineMs: 110_000,
    });
    expect(exitCode).toBe(2);
    for (const name of ['relay', 'throughput', 'latency', 'echo', 'memory', 'objects', 'rate', 'runtime']) {
      expect(stderr.toString()).toMatch(new RegExp(`^ {2}${name}: .*--`, 'm'));
    }
  }, 120_000);
});
