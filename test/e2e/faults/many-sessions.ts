import { Buffer } from 'node:buffer';
import { exec } from '../../../src/client/index.ts';
import { deferred } from '../../../src/common/deferred.ts';
import type { Transport } from '../../../src/kubeapi/index.ts';
import { seededRandom } from '../../support/seed.ts';
import { CONTAINER, podNames } from './chain-pods.ts';
import { type Endpoint, transportTo } from './endpoint.ts';

/** What each session sends and gets back, in bytes. */
const ECHO_BYTES = 100_000;

const READY = 'ready\n';

/**
 * Runs `count` sessions by `apiserver` that are all open at the same moment; each has bytes and an exit code of
 * its own, every second one a terminal, and all pods and transports take turns.
 *
 * @returns what was wrong
 */
export async function manySessions(apiserver: Endpoint, count: number): Promise<string[]> {
  const api = transportTo(apiserver);
  const allOpen = deferred<void>();
  let waiting = count;
  const opened = (): void => {
    waiting -= 1;
    if (waiting === 0) allOpen.resolve();
  };
  const wrong = await Promise.all(
    Array.from({ length: count }, (_, index) => echo(api, index, { opened, go: allOpen.promise })),
  );
  return wrong.flat();
}

async function echo(
  api: Transport,
  index: number,
  { opened, go }: { readonly opened: () => void; readonly go: Promise<void> },
): Promise<string[]> {
  const tty = index % 2 === 1;
  const command = `${tty ? 'stty raw -echo; ' : ''}echo ready; head -c ${ECHO_BYTES}; exit ${index % 256}`;
  const session = await exec({
    api,
    pod: index % 3 === 0 ? podNames.translated : podNames.passThrough,
    container: CONTAINER,
    command: ['sh', '-c', command],
    transport: index % 4 < 2 ? 'websocket' : 'spdy',
    stdin: true,
    tty,
  });
  session.stderr?.resume();
  const chunks: Buffer[] = [];
  let bytes = 0;
  const ready = deferred<void>();
  session.stdout?.on('data', (chunk: Buffer) => {
    chunks.push(Buffer.from(chunk));
    bytes += chunk.length;
    if (bytes >= READY.length) ready.resolve();
  });
  await Promise.race([ready.promise, session.completed]);
  opened();
  await go;
  const input = Buffer.from(seededRandom(index).bytes(ECHO_BYTES));
  if (tty) session.stdin?.write(input);
  else session.stdin?.end(input);
  const outcome = await session.completed;
  const isWhole = Buffer.concat(chunks).equals(Buffer.concat([Buffer.from(READY), input]));
  if (outcome.kind === 'exited' && outcome.code === index % 256 && isWhole) return [];
  return [`session ${index}: ${outcome.kind} ${outcome.code}, ${bytes} bytes, ${isWhole ? 'whole' : 'not whole'}`];
}
