import { describe, expect, it } from 'vitest';
import { mustRun } from '../support/child.ts';
import { findProgram } from '../support/peer.ts';
import { podwireArgv } from '../support/podwire.ts';

// The script of `podwire completion bash` in a real bash, asking the real command. Needs `npm run build`.

/** What tab offers behind `words`, the last of which is being typed; bash cuts at = and : before it asks. */
async function offers(...words: string[]): Promise<string[]> {
  const [node = '', main = ''] = podwireArgv();
  const script = `
    podwire() { '${node}' '${main}' "$@"; }
    source <(podwire completion bash)
    COMP_WORDS=(podwire "$@") COMP_CWORD=$#
    __podwire_complete
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const text = await mustRun('bash', ['-c', script, 'bash', ...words]);
  return text.split('\n').filter((line) => line !== '');
}

describe.skipIf(findProgram('bash') === undefined)('completion in bash', () => {
  it('offers commands, flags and values', async () => {
    expect(await offers('ex')).toEqual(['exec']);
    expect(await offers('exec', '--certif')).toEqual(['--certificate-authority']);
    expect(await offers('exec', '--transport', 's')).toEqual(['spdy']);
    expect(await offers('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });

  it('offers a value behind =, which bash takes for a word of its own', async () => {
    expect(await offers('exec', '--transport', '=', 's')).toEqual(['spdy']);
    expect(await offers('exec', '--transport', '=')).toEqual(['auto', 'websocket', 'spdy']);
  });

  it('offers nothing of ours behind --', async () => {
    expect(await offers('exec', 'web', '--', 'ex')).toEqual([]);
  });
});
