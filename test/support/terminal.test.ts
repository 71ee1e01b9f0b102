import { expect, it } from 'vitest';
import { describeWithPeer } from './peer.ts';
import { Terminal } from './terminal.ts';

describeWithPeer('tmux', 'a terminal', () => {
  it('types, resizes, interrupts and reads the exit code', async () => {
    await using terminal = await Terminal.start(['sh'], {
      columns: 91,
      rows: 33,
      env: { ...process.env, PS1: 'ready> ' },
    });
    await terminal.waitFor('ready> ');
    await terminal.type('stty size\n');
    await terminal.waitFor('\n33 91\n');
    await terminal.resize(120, 40);
    await terminal.type('stty size\n');
    await terminal.waitFor('\n40 120\n');
    await terminal.type('echo sleep""ing; sleep 1000\n');
    await terminal.waitFor('\nsleeping\n');
    await terminal.press('C-c');
    // An interrupt flushes what is typed before the next prompt.
    await terminal.waitFor(/sleeping\n\^C\s*ready>/);
    await terminal.type('exit 7\n');
    expect(await terminal.exitCode()).toBe(7);
  });

  it('tells a signal from an exit code', async () => {
    await using terminal = await Terminal.start(['sh', '-c', 'kill -9 $$']);
    expect(await terminal.exitCode()).toBe(137);
  });

  it('shows the screen when it waits in vain', async () => {
    await using terminal = await Terminal.start(['sh', '-c', 'echo visible; exec sleep 1000']);
    await terminal.waitFor('visible');
    await expect(terminal.waitFor('never', 50)).rejects.toThrow('visible');
  });
});
