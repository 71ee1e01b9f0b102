import { Buffer } from 'node:buffer';
import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deferred } from '../../src/common/deferred.ts';
import type { ContainerRef, ExecClient, ExecRequest, ExecResult } from '../support/exec-client.ts';
import { processesWith } from '../support/process-table.ts';
import { runSeed, seededRandom } from '../support/seed.ts';

/** A client and a container that it can reach. Owns whatever was started for it. */
export interface ExecTarget extends AsyncDisposable {
  readonly client: ExecClient;
  readonly container: ContainerRef;
}

/** What a peer cannot do: title of the test → reason. A title that no test has is an error. */
export type Exceptions = Readonly<Record<string, string>>;

export interface ExecScale {
  /** Bytes of the big transfers, in MiB. Default 32. */
  readonly mebibytes?: number;
  /** Sessions at once. Default 20. */
  readonly sessions?: number;
}

/** Defines one test of a suite: its exceptions are skipped under the title that says why. */
export type Behaviour = (title: string, run: (target: ExecTarget) => Promise<void>, timeoutMs?: number) => void;

const MEBIBYTE = 1024 * 1024;
/** Shorter than that of a test, for its error says more. */
const EXEC_DEADLINE_MS = 30_000;
/** Runs in the container; the sum of what it sends on stdout goes to stderr. */
const RANDOM_BYTES =
  'f=/tmp/random.$$; dd if=/dev/urandom of=$f bs=1048576 count=$0 2>/dev/null; sha256sum <$f >&2; cat $f; rm $f';

/**
 * What any client must see of exec through any hops. Needs TEST_IMAGE, and the container on this machine.
 *
 * @param name says the hops, such as `kubectl 1.32 → containerd`
 */
export function execInterop(
  name: string,
  makeTarget: () => Promise<ExecTarget>,
  except: Exceptions = {},
  scale: ExecScale = {},
): void {
  interopSuite(`exec: ${name}`, makeTarget, except, (behaviour) => {
    outcomes(behaviour);
    streams(behaviour);
    load(behaviour, scale.mebibytes ?? 32, scale.sessions ?? 20);
  });
}

/** A suite over one target, made before its first test. */
export function interopSuite(
  name: string,
  makeTarget: () => Promise<ExecTarget>,
  except: Exceptions,
  define: (behaviour: Behaviour) => void,
): void {
  describe(name, () => {
    let target: ExecTarget | undefined;
    const titles = new Set<string>();
    beforeAll(async () => {
      target = await makeTarget();
    });
    afterAll(() => target?.[Symbol.asyncDispose]());
    define((title, run, timeoutMs) => {
      titles.add(title);
      const reason = except[title];
      if (reason === undefined) it(title, () => run(target!), timeoutMs);
      else it.skip(`${title} (not here: ${reason})`, () => undefined);
    });
    const unknown = Object.keys(except).filter((title) => !titles.has(title));
    if (unknown.length > 0)
      throw new Error(`${name} makes an exception for a test that is not there: ${unknown.join('; ')}`);
  });
}

function outcomes(behaviour: Behaviour): void {
  for (const code of [0, 1, 7, 126, 127, 137, 255]) {
    behaviour(`passes exit code ${code} on`, async (target) => {
      expect((await exec(target, ['sh', '-c', `exit ${code}`])).exitCode).toBe(code);
    });
  }

  behaviour('reports a command that SIGKILL ended as 137', async (target) => {
    expect((await exec(target, ['sh', '-c', 'kill -9 $$'])).exitCode).toBe(137);
  });

  behaviour('fails for a command that does not exist, and names it', async (target) => {
    const { exitCode, stdout, stderr } = await exec(target, ['no-such-command']);
    expect(exitCode).toBeGreaterThan(0);
    expect(stdout.toString()).toBe('');
    expect(stderr.toString()).toContain('no-such-command');
  });

  behaviour('ends with the command, though nobody read its stdin', async (target) => {
    const { exitCode } = await exec(target, ['sh', '-c', 'exit 3'], { stdin: Buffer.alloc(MEBIBYTE) });
    expect(exitCode).toBe(3);
  });

  behaviour('ends with the command, though nobody ends its stdin', async (target) => {
    const stdin = new Readable({ read: () => undefined });
    stdin.push('line\n');
    const { exitCode, stdout } = await exec(target, ['head', '-n', '1'], { stdin });
    expect({ exitCode, stdout: stdout.toString() }).toEqual({ exitCode: 0, stdout: 'line\n' });
  });

  behaviour('waits for what a short-lived background child has to say', async (target) => {
    const { exitCode, stdout } = await exec(target, ['sh', '-c', '(sleep 1; echo late) & echo early']);
    expect({ exitCode, stdout: stdout.toString() }).toEqual({ exitCode: 0, stdout: 'early\nlate\n' });
  });

  behaviour('ends, though a background child keeps the output open', async (target) => {
    const script = 'sleep 1000 & echo $!';
    const { exitCode, stdout } = await exec(target, ['sh', '-c', script], { deadlineMs: 20_000 });
    await exec(target, ['kill', '-9', stdout.toString().trim()]);
    expect(exitCode).toBe(0);
  });

  behaviour('leaves no process behind when the client is killed', async (target) => {
    const marker = `MARKER=${process.pid}-${Date.now()}`;
    const gone = new AbortController();
    const started = deferred<undefined>();
    const session = exec(target, ['env', marker, 'sh', '-c', 'echo started; exec sleep 1000'], {
      signal: gone.signal,
      onStdout: () => started.resolve(undefined),
    });
    await Promise.race([started.promise, session]);
    await until(() => processesIn(marker).length === 1, 'the command does not run');
    gone.abort();
    await session.catch(() => undefined);
    await until(() => processesIn(marker).length === 0, 'the command of a killed client still runs');
  });
}

function streams(behaviour: Behaviour): void {
  behaviour('keeps stdout and stderr apart', async (target) => {
    const { stdout, stderr } = await exec(target, ['sh', '-c', 'echo out; echo err >&2; printf more; exit 0']);
    expect(stdout.toString()).toBe('out\nmore');
    expect(stderr.toString()).toBe('err\n');
  });

  behaviour('hands argv over word for word', async (target) => {
    const words = [
      'two words',
      '"double"',
      "'single'",
      'naïve ✓ 日本 🙂',
      '',
      '$HOME',
      '*',
      'back\\slash',
      'new\nline',
    ];
    const more = ['--flag', '-x', 'a=b&c=d', '%41+%2B', ';', '#', '\t', ''];
    const { stdout } = await exec(target, ['sh', '-c', 'printf "[%s]" "$@"', 'sh', ...words, ...more]);
    expect(stdout.toString()).toBe([...words, ...more].map((word) => `[${word}]`).join(''));
  });

  behaviour('forwards stdin and its end', async (target) => {
    const { stdout, exitCode } = await exec(target, ['cat'], { stdin: Buffer.from('one\ntwo') });
    expect({ stdout: stdout.toString(), exitCode }).toEqual({ stdout: 'one\ntwo', exitCode: 0 });
  });

  behaviour('forwards an empty stdin', async (target) => {
    const { stdout } = await exec(target, ['wc', '-c'], { stdin: Buffer.alloc(0) });
    expect(stdout.toString().trim()).toBe('0');
  });

  behaviour('gives a command without -i an empty stdin', async (target) => {
    const { stdout, exitCode } = await exec(target, ['wc', '-c']);
    expect({ stdout: stdout.toString().trim(), exitCode }).toEqual({ stdout: '0', exitCode: 0 });
  });

  behaviour('carries every byte value both ways', async (target) => {
    const bytes = Buffer.from(Array.from({ length: 4 * 256 }, (_, index) => index % 256));
    const { stdout } = await exec(target, ['cat'], { stdin: bytes });
    expect(stdout.equals(bytes)).toBe(true);
  });
}

function load(behaviour: Behaviour, mebibytes: number, sessions: number): void {
  const transferMs = 60_000 + mebibytes * 2000;

  behaviour(
    'carries a big output whole',
    async (target) => {
      const sum = createHash('sha256');
      const argv = ['sh', '-c', RANDOM_BYTES, String(mebibytes)];
      const { stderr, exitCode } = await exec(target, argv, {
        onStdout: (chunk) => void sum.update(chunk),
        deadlineMs: transferMs,
      });
      expect({ sum: stderr.toString().split(' ')[0], exitCode }).toEqual({ sum: sum.digest('hex'), exitCode: 0 });
    },
    transferMs,
  );

  behaviour(
    'carries a big input whole',
    async (target) => {
      const sum = createHash('sha256');
      const stdin = randomStream(mebibytes, sum);
      const { stdout, exitCode } = await exec(target, ['sha256sum'], { stdin, deadlineMs: transferMs });
      expect({ sum: stdout.toString().split(' ')[0], exitCode }).toEqual({ sum: sum.digest('hex'), exitCode: 0 });
    },
    transferMs,
  );

  behaviour(
    'carries big input and output at once',
    async (target) => {
      const [sent, got] = [createHash('sha256'), createHash('sha256')];
      const stdin = randomStream(mebibytes, sent);
      const onStdout = (chunk: Buffer): void => void got.update(chunk);
      const { exitCode } = await exec(target, ['cat'], { stdin, onStdout, deadlineMs: transferMs });
      expect({ sum: got.digest('hex'), exitCode }).toEqual({ sum: sent.digest('hex'), exitCode: 0 });
    },
    transferMs,
  );

  behaviour(
    'waits for a slow reader and lets others pass',
    async (target) => {
      const held = deferred<undefined>();
      const release = deferred<undefined>();
      let bytes = 0;
      const slow = exec(target, ['head', '-c', String(mebibytes * MEBIBYTE), '/dev/zero'], {
        onStdout: (chunk) => {
          bytes += chunk.length;
          held.resolve(undefined);
          return release.promise;
        },
        deadlineMs: transferMs,
      });
      await Promise.race([held.promise, slow]);
      const other = await exec(target, ['echo', 'passed']);
      release.resolve(undefined);
      expect(other.stdout.toString()).toBe('passed\n');
      expect((await slow).exitCode).toBe(0);
      expect(bytes).toBe(mebibytes * MEBIBYTE);
    },
    transferMs,
  );

  behaviour(
    'keeps many sessions at once apart',
    async (target) => {
      const held: HeldSession[] = [];
      while (held.length < sessions) {
        const count = Math.min(STARTED_TOGETHER, sessions - held.length);
        const wave = Array.from({ length: count }, (_, index) => holdSession(target, held.length + index));
        held.push(...wave);
        await Promise.all(wave.map(({ isOpen }) => isOpen));
      }
      for (const session of held) session.release();
      const expected = held.map((_, index) => [`ready\nsession ${index}\n`, `error session ${index}`, index]);
      expect(await Promise.all(held.map(({ result }) => result))).toEqual(expected);
    },
    60_000 + sessions * 1000,
  );
}

/** Clients that start at the same time: each costs a second of CPU time, and a handshake has a deadline. */
const STARTED_TOGETHER = 10;

/** A session that has begun, and waits for its input. */
interface HeldSession {
  /** Settles when the command runs, or when the session ends without. */
  readonly isOpen: Promise<unknown>;
  release(): void;
  /** stdout, the first line of stderr, exit code. */
  readonly result: Promise<[string, string, number | null]>;
}

function holdSession(target: ExecTarget, index: number): HeldSession {
  const script = 'echo ready; read line; echo "$line"; echo "error $line" >&2; exit $0';
  const stdin = new Readable({ read: () => undefined });
  const ready = deferred<void>();
  let stdout = '';
  const result = exec(target, ['sh', '-c', script, String(index)], {
    stdin,
    deadlineMs: 300_000,
    onStdout: (chunk) => {
      stdout += chunk.toString();
      ready.resolve();
    },
  }).then(({ stderr, exitCode }): [string, string, number | null] => {
    const [line = ''] = stderr.toString().split('\n');
    return [stdout, line, exitCode];
  });
  return {
    isOpen: Promise.race([ready.promise, result]),
    release: () => {
      stdin.push(`session ${index}\n`);
      stdin.push(null);
    },
    result,
  };
}

function exec(target: ExecTarget, argv: string[], more: Partial<ExecRequest> = {}): Promise<ExecResult> {
  return target.client.exec({ deadlineMs: EXEC_DEADLINE_MS, ...target.container, argv, ...more });
}

/** `mebibytes` of bytes that SEED decides, each block different; `sum` has seen all of them at the end. */
function randomStream(mebibytes: number, sum: Hash): Readable {
  const random = seededRandom(runSeed('big input'));
  const block = Buffer.from(random.bytes(MEBIBYTE));
  return Readable.from(
    (function* (): Generator<Buffer> {
      for (let index = 0; index < mebibytes; index += 1) {
        const bytes = Buffer.from(block);
        bytes.writeUInt32BE(index);
        sum.update(bytes);
        yield bytes;
      }
    })(),
  );
}

/** Commands in containers, not the clients that have the marker in their own arguments. */
function processesIn(marker: string): string[] {
  return processesWith(marker)
    .map(({ command }) => command)
    .filter((command) => command === 'sleep 1000');
}

async function until(isTrue: () => boolean, otherwise: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(otherwise);
    await delay(50);
  }
}
