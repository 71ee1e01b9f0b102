import { afterEach, describe, expect, it, vi } from 'vitest';
import type { CriClient } from '../cri/index.ts';
import { StreamingUrlStarter } from './streaming-url.ts';

afterEach(() => void vi.useRealTimers());

const request = {
  containerId: 'c',
  argv: ['true'],
  streams: { stdin: false, stdout: true, stderr: true, tty: false },
  sessionId: 's',
  signal: new AbortController().signal,
};

describe('a streaming URL', () => {
  it('is served by what the runtime is now, also after another one came to its socket', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    let asked = 0;
    const runtime = {
      exec: async () => ({ url: 'http://127.0.0.1:1/exec/token' }),
      version: async () => {
        asked += 1;
        if (asked === 2) throw new Error('restarting');
        return { runtimeName: 'podwire' };
      },
    };
    const starter = new StreamingUrlStarter({ runtime } as unknown as CriClient);
    await starter.prepare(request);
    await starter.prepare(request);
    expect(asked).toBe(1);
    vi.advanceTimersByTime(10_000);
    await expect(starter.prepare(request)).rejects.toThrow('restarting');
    await starter.prepare(request);
    expect(asked).toBe(3);
  });
});
