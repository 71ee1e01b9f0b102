import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Outcome } from '../../src/common/outcome.ts';
import type { RemoteCommand } from '../../src/remotecommand/index.ts';
import { HOST_IMAGE } from '../../src/runtime/index.ts';
import { isolationObstacle } from '../../src/runtime/isolation/index.ts';
import { findBusybox, imageArchive, TEST_IMAGE } from '../support/image.ts';
import { describeWithPeer } from '../support/peer.ts';
import { PodwireExec, PodwireHop } from '../support/podwire.ts';
import { runSeed, seededRandom } from '../support/seed.ts';
import { Terminal } from '../support/terminal.ts';
import { WalledRuntime } from '../support/walled-runtime.ts';

// Terminals of containers as people use them: job control, and programs that draw. Needs `npm run build`.

const obstacle = (await isolationObstacle()) ?? (findBusybox() === undefined ? 'no static BusyBox' : undefined);
const why = obstacle === undefined ? '' : ` (${obstacle})`;

/** A terminal that says nothing for so long, in ms, says nothing any more. */
const LOOK_MS = 20_000;

/** Types at a terminal and looks at what comes back. */
class Typist {
  readonly #command: RemoteCommand;
  #seen = '';
  #look = (): void => {};

  constructor(command: RemoteCommand) {
    this.#command = command;
    command.stdout!.on('data', (chunk: Buffer) => {
      this.#seen += chunk.toString();
      this.#look();
    });
  }

  type(keys: string): void {
    this.#command.stdin!.write(keys);
  }

  /** @returns everything up to what was waited for, which is forgotten then */
  async until(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.#seen);
      if (found !== null) {
        const end = found.index + found[0].length;
        const text = this.#seen.slice(0, end);
        this.#seen = this.#seen.slice(end);
        return text;
      }
      await new Promise<void>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`no ${pattern} in ${JSON.stringify(this.#seen)}`)), LOOK_MS);
        this.#look = () => {
          clearTimeout(late);
          resolve();
        };
      });
    }
  }

  /** Waits for the end of the command. */
  async ended(): Promise<Outcome> {
    let late: NodeJS.Timeout | undefined;
    const isLate = new Promise<never>((_resolve, reject) => {
      late = setTimeout(() => reject(new Error(`no end after ${JSON.stringify(this.#seen)}`)), LOOK_MS);
    });
    return Promise.race([this.#command.completed, isLate]).finally(() => clearTimeout(late));
  }
}

/**
 * A job that says `NAME-2` when it runs, and `front-2` when it goes on after a stop: only then has it the terminal back.
 * It starts nothing: a child of dash that ctrl-Z stops between vfork(2) and execve(2) holds its parent for ever.
 */
const job = (name: string): string =>
  `sh -c "trap 'echo front-\\$((1+1))' CONT; echo ${name}-\\$((1+1)); while :; do read -r line; done"`;

describe.skipIf(obstacle !== undefined).each([
  ['the host image', HOST_IMAGE],
  ['walls', TEST_IMAGE],
])(`a shell on a terminal in a container of %s${why}`, (_title, image) => {
  let walls: WalledRuntime;
  beforeAll(async () => {
    walls = await WalledRuntime.start();
  });
  afterAll(() => walls[Symbol.asyncDispose]());

  it.each(['exec', 'attach'] as const)('has job control and its controlling terminal, by %s', async (way) => {
    const own = way === 'attach';
    const { containerId } = await walls.run(own ? ['sh', '-i'] : ['sleep', '1000'], {
      image: { image },
      tty: own,
      stdin: own,
    });
    const command = own
      ? await walls.attach(containerId, { tty: true, stdin: true })
      : await walls.exec(containerId, ['sh', '-i'], { tty: true, stdin: true });
    const typist = new Typist(command);
    typist.type('echo begin-$((1+1))\n');
    await typist.until(/begin-2/);
    // Within walls it has no name in /dev, for it is of the host's devpts: ttyname(3) finds none, all else works.
    typist.type('[ -t 0 ] && : </dev/tty && echo mine-$((1+1))\n');
    await typist.until(/mine-2/);
    // Once it speaks it is the foreground group, and ctrl-Z is for it alone.
    typist.type('sh -c "echo up-\\$((1+1)); exec sleep 1000"\n');
    await typist.until(/up-2\r\n/);
    typist.type('\x1a');
    await typist.until(/Stopped/);
    typist.type('jobs\n');
    await typist.until(/\[1\][^\n]*Stopped[^\n]*sleep 1000/);
    typist.type('bg; jobs\n');
    await typist.until(/\[1\][^\n]*Running[^\n]*sleep 1000/);
    typist.type(`kill %1; jobs; ${job('back')}\n`);
    await typist.until(/back-2\r\n/);
    typist.type('\x1a');
    await typist.until(/Stopped/);
    typist.type('fg\n');
    // A shell says first what it brings to the front: a ctrl-C that comes then is for itself, and the job stays stopped.
    await typist.until(/front-2\r\n/);
    typist.type('\x03');
    // With the prompt the job is gone, which reads what is typed until then.
    await typist.until(/\^C[^]*# /);
    typist.type('echo after-$((1+1))\n');
    await typist.until(/after-2/);
    typist.type('jobs; echo none-$((1+1))\n');
    expect(await typist.until(/none-2/)).not.toContain('sleep');
    typist.type('exit 5\n');
    // Of attach a Status says nothing of the code.
    expect(await typist.ended()).toMatchObject({ kind: 'exited', code: own ? 0 : 5 });
    if (own) expect(await walls.exitCode(containerId)).toBe(5);
  });
});

describeWithPeer('tmux', 'programs that draw, after 50 resizes', () => {
  const RESIZES = 50;
  const [COLUMNS, ROWS] = [100, 30];
  const lines = Array.from({ length: 400 }, (_, at) => `line ${at + 1} ${'word '.repeat(at % 23)}`);
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'podwire-draw-'));
    writeFileSync(join(folder, 'text'), lines.join('\n'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  interface Program {
    readonly argv: readonly string[];
    /** Shows that the program is up. */
    readonly first: RegExp;
    /** What the last screen is like; default: as when the program runs without podwire. */
    readonly last?: RegExp;
  }

  const top = /^(top -|Mem:)[^]*\bPID\b[^]*\n *\d+ [^]*$/;

  /** Runs it behind four hops and beside that by itself, resizes both alike, and compares. */
  async function compare(kubeconfig: string, { argv, first, last }: Program): Promise<void> {
    const size = { columns: 80, rows: 24 };
    const command = [...argv, ...(last === undefined ? [join(folder, 'text')] : [])];
    const behind = new PodwireExec(kubeconfig).interactive({
      pod: 'demo',
      argv: command,
    });
    const beside = ['env', 'TERM=xterm', ...command];
    await using tested = await Terminal.start(behind.argv, { ...size, env: behind.env });
    await using reference = await Terminal.start(beside, size);
    await Promise.all([tested.waitFor(first, 30_000), reference.waitFor(first, 30_000)]);
    const random = seededRandom(runSeed(`resizes of ${argv.join(' ')}`));
    for (let resize = 1; resize < RESIZES; resize += 1) {
      const [columns, rows] = [random.between(40, 150), random.between(8, 50)];
      await Promise.all([tested.resize(columns, rows), reference.resize(columns, rows)]);
    }
    await Promise.all([tested.resize(COLUMNS, ROWS), reference.resize(COLUMNS, ROWS)]);
    // Programs draw when they come to it: the screens are looked at until they are alike.
    const deadline = Date.now() + 30_000;
    for (;;) {
      const [shown, wanted] = await Promise.all([tested.screen(), reference.screen()]);
      const isRight = last === undefined ? shown === wanted : last.test(shown) && isFull(shown);
      if (isRight) return;
      if (Date.now() > deadline) expect(shown).toEqual(last === undefined ? wanted : last);
    }
  }

  function isFull(screen: string): boolean {
    const rows = screen.replace(/\n$/, '').split('\n');
    return rows.length === ROWS && rows.every((row) => row.length <= COLUMNS);
  }

  it.skipIf(!['/usr/bin/htop', '/usr/bin/less', '/usr/bin/vi', '/usr/bin/top'].every((path) => existsSync(path)))(
    'are right in a container of the host image: less, vi, top, htop',
    async () => {
      const stateDir = join(folder, 'host');
      await using _up = await PodwireHop.start('up', ['--state-dir', stateDir, '--secure-port', '0']);
      const programs: Program[] = [
        { argv: ['less'], first: /line 2 word/ },
        { argv: ['vi', '-n'], first: /line 2 word/ },
        { argv: ['top'], first: /PID USER/, last: top },
        { argv: ['htop'], first: /F10\s?Quit/, last: /PID[^]*F1\s?Help[^\n]*F10\s?Quit\s*$/ },
      ];
      for (const program of programs) await compare(join(stateDir, 'kubeconfig'), program);
    },
    240_000,
  );

  it.skipIf(obstacle !== undefined)(
    `are right in a container with walls: BusyBox's less, vi, top${why}`,
    async () => {
      const stateDir = join(folder, 'walls');
      const archive = join(folder, 'image.tar');
      const body = Buffer.from(lines.join('\n'));
      writeFileSync(
        archive,
        imageArchive({ files: [{ kind: 'file', name: join(folder, 'text').slice(1), mode: 0o644, body }] }),
      );
      await using _up = await PodwireHop.start('up', [
        '--state-dir',
        stateDir,
        '--secure-port',
        '0',
        '--demo-image',
        archive,
      ]);
      const programs: Program[] = [
        { argv: ['busybox', 'less'], first: /line 2 word/ },
        { argv: ['busybox', 'vi'], first: /line 2 word/ },
        { argv: ['busybox', 'top'], first: /PID +PPID/, last: top },
      ];
      for (const program of programs) await compare(join(stateDir, 'kubeconfig'), program);
    },
    240_000,
  );
});
