import { once } from 'node:events';
import { connect } from 'node:net';
import { dialSpdy } from '../../../src/httpstream/index.ts';
import { openStreamSet, type RemoteCommand, runRemoteCommand } from '../../../src/remotecommand/index.ts';

/** A session at a streaming URL of the runtime. */
export async function openSession(address: string, tty: boolean): Promise<RemoteCommand> {
  const url = new URL(address);
  const socket = connect(Number(url.port), url.hostname);
  await once(socket, 'connect');
  const headers: [string, string][] = [['Host', url.host]];
  const dialed = { path: url.pathname, headers, protocols: ['v4.channel.k8s.io'] };
  const { session, protocol } = await dialSpdy(socket, dialed);
  return runRemoteCommand(await openStreamSet(session, protocol, { stdin: true, stdout: true, stderr: !tty, tty }));
}

/** Types a line, and waits for the answer of a container that answers; what it says before that is passed over. */
export async function ask(session: RemoteCommand, line: string): Promise<void> {
  const answered = new Promise<void>((resolve, reject) => {
    let said = '';
    session.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes(`<${line}>`)) resolve();
    });
    void session.completed.then((outcome) => reject(new Error(`the session ended: ${JSON.stringify(outcome)}`)));
  });
  session.stderr?.resume();
  session.stdin?.write(`${line}\n`);
  await answered;
}
