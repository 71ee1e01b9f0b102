import { afterEach, expect, it } from 'vitest';
import { deferred } from '../../src/common/deferred.ts';
import { exited } from '../../src/common/outcome.ts';
import { mustRun } from '../support/child.ts';
import { ExecServer, podOf } from '../support/exec-server.ts';
import { podwireArgv } from '../support/podwire.ts';

// `podwire exec` between other programs of a pipe. Needs `npm run build`.

let server: ExecServer;
afterEach(() => server[Symbol.asyncDispose]());

it('ends an endless command when its reader has enough, with the code of SIGPIPE as kubectl', async () => {
  const gone = deferred<undefined>();
  server = await ExecServer.start({
    pod: podOf(['main']),
    run: async ({ stdout, signal }) => {
      const timer = setInterval(() => stdout!.write('y\n'), 1);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      clearInterval(timer);
      gone.resolve(undefined);
      return exited(0);
    },
  });
  const argv = podwireArgv('exec', 'web', '--kubeconfig', '/dev/null', '-s', server.url, '--', 'yes');
  const script = '"$@" | head -n 1; echo "${PIPESTATUS[0]}"';
  expect(await mustRun('bash', ['-c', script, 'bash', ...argv])).toBe('y\n141\n');
  await gone.promise;
});
