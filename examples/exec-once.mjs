// node examples/exec-once.mjs POD COMMAND [ARG…]
//
// One command in a pod of the current kubeconfig: its output, its exit code, or why there is none.
import process from 'node:process';
import { exec } from 'podwire';

const [pod = 'demo', ...argv] = process.argv.slice(2);
const command = argv.length > 0 ? argv : ['uname', '-a'];

try {
  const session = await exec({ pod, command, signal: AbortSignal.timeout(60_000) });
  // Both must be read: unread output stops the command, as a full pipe does.
  session.stdout?.pipe(process.stdout, { end: false });
  session.stderr?.pipe(process.stderr, { end: false });

  const outcome = await session.completed;
  if (outcome.kind === 'exited') {
    process.exitCode = outcome.code;
  } else {
    // Nobody knows the exit code: say where the path broke, and do not call it success.
    console.error(`failed at ${outcome.hop ?? 'an unknown hop'}: ${outcome.message} (session ${session.sessionId})`);
    process.exitCode = 125;
  }
} catch (error) {
  console.error(`not started: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 125;
}
