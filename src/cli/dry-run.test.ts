import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { MemoryIo } from '../../test/support/memory-io.ts';
import { runCli } from './run-cli.ts';

async function run(flag: string): Promise<MemoryIo & { readonly code: number }> {
  const io = new MemoryIo(Readable.from([]));
  return Object.assign(io, { code: await runCli(['run', 'web', '--image=i', flag], io) });
}

// The words are kubectl's, without the place in its source.
it.each([
  ['--dry-run', '--dry-run is deprecated and can be replaced with --dry-run=client.'],
  ['--dry-run=true', '--dry-run=true is deprecated (boolean value) and can be replaced with --dry-run=client.'],
  ['--dry-run=T', '--dry-run=T is deprecated (boolean value) and can be replaced with --dry-run=client.'],
])('%s asks nobody, and says how it should be said', async (flag, warning) => {
  const { out, err, code } = await run(flag);
  expect(err.text).toBe(`Warning: ${warning}\n`);
  expect(out.text).toBe('pod/web created (dry run)\n');
  expect(code).toBe(0);
});

it('--dry-run=client is how it should be said', async () => {
  const { out, err } = await run('--dry-run=client');
  expect([out.text, err.text]).toEqual(['pod/web created (dry run)\n', '']);
});

it.each(['bad', '', 'constructor'])('--dry-run=%s is refused', async (value) => {
  const { err, code } = await run(`--dry-run=${value}`);
  expect(err.text).toContain(`error: Invalid dry-run value (${value}). Must be "none", "server", or "client".\n`);
  expect(code).toBe(1);
});
