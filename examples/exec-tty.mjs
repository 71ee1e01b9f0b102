// node examples/exec-tty.mjs POD [COMMAND…]
//
// A shell in a pod on this terminal: raw keys go in, the size follows the window, the terminal is given back at the end.
import process from 'node:process';
import { exec } from 'podwire';

const [pod = 'demo', ...argv] = process.argv.slice(2);
const { stdin, stdout } = process;
if (!stdin.isTTY || !stdout.isTTY) {
  console.error('exec-tty needs a terminal');
  process.exit(125);
}

const size = () => ({ width: stdout.columns, height: stdout.rows });
const restore = () => stdin.setRawMode(false);
process.once('exit', restore);

const session = await exec({
  pod,
  command: argv.length > 0 ? argv : ['sh'],
  stdin: true,
  tty: true,
  size: size(),
  onNotice: (text) => console.error(text),
});
// Only now: until the session is there ctrl-C ends this program.
stdin.setRawMode(true);
stdout.on('resize', () => session.resize(size()));
stdin.pipe(session.stdin);
session.stdout?.pipe(stdout, { end: false });

const outcome = await session.completed;
restore();
if (outcome.kind === 'failed') console.error(`failed at ${outcome.hop ?? 'an unknown hop'}: ${outcome.message}`);
// A terminal that is still open would keep the process alive.
process.exit(outcome.kind === 'exited' ? outcome.code : 125);
