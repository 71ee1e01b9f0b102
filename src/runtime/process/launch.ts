import { closeSync } from 'node:fs';
import type { TerminalSize } from '../../common/terminal-size.ts';
import type { ProcessUser } from './command-lookup.ts';
import type { FifoPool, Pipe } from './fifo-pool.ts';
import { type NativePty, openTerminal } from './native-terminal.ts';
import { OutputStream } from './output-stream.ts';
import { PipeInput } from './pipe-input.ts';
import type { KeptHandle } from './session-process.ts';
import { type Child, type ChildOptions, coverDescriptor, spawnChild, uncoverDescriptor } from './spawn-child.ts';
import { TerminalInput } from './terminal-input.ts';

/** A program made ready to run: found, with its wrappers before it. */
export interface Launch extends Pick<ChildOptions, 'file' | 'argv' | 'env' | 'cwd' | 'uid' | 'gid'> {
  /** Owner of pipes and terminal. */
  readonly user?: ProcessUser;
}

/** A running program with our ends of its streams. */
export interface Launched {
  readonly child: Child;
  readonly stdin?: PipeInput | TerminalInput;
  readonly stdout?: OutputStream;
  readonly stderr?: OutputStream;
  readonly resize: (size: TerminalSize) => void;
  /** Who gets signals, when it is not the child itself. */
  readonly signalPid?: () => number | undefined;
  /** Who waits for the program in our place, and holds its pipes. */
  readonly keeper?: KeptHandle;
}

export interface Streams {
  /** `held`: `end()` leaves it open until the program has ended. */
  readonly stdin: boolean | 'held';
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** Starts a program on pipes; a stream that is not wanted is `/dev/null`. */
export async function launchOnPipes(launch: Launch, streams: Streams, pool: FifoPool): Promise<Launched> {
  const childs: number[] = [];
  const ours: (PipeInput | OutputStream)[] = [];
  const open = async <Stream extends PipeInput | OutputStream>(
    made: Promise<Pipe>,
    wrap: (fd: number) => Stream,
  ): Promise<{ readonly stream: Stream; readonly childs: number }> => {
    const pipe = await made;
    childs.push(pipe.childs);
    const stream = wrap(pipe.ours);
    ours.push(stream);
    return { stream, childs: pipe.childs };
  };
  const output = (fd: number): OutputStream => new OutputStream(fd, 'pipe');
  const input = (fd: number): PipeInput => new PipeInput(fd, streams.stdin === 'held');
  try {
    const stdin = streams.stdin ? await open(pool.toChild(launch.user), input) : undefined;
    const stdout = streams.stdout ? await open(pool.fromChild(launch.user), output) : undefined;
    const stderr = streams.stderr ? await open(pool.fromChild(launch.user), output) : undefined;
    const stdio = [stdin?.childs ?? 'ignore', stdout?.childs ?? 'ignore', stderr?.childs ?? 'ignore'] as const;
    const child = await spawnChild({ ...launch, stdio, newSession: true });
    return {
      child,
      ...(stdin && { stdin: stdin.stream }),
      ...(stdout && { stdout: stdout.stream }),
      ...(stderr && { stderr: stderr.stream }),
      resize: () => {},
    };
  } catch (thrown) {
    for (const stream of ours) stream.destroy();
    throw thrown;
  } finally {
    for (const fd of childs) closeSync(fd);
  }
}

export interface TerminalLaunch {
  readonly size: TerminalSize;
  readonly pty: NativePty;
  /** Path of setsid(1), which makes the terminal the program's; undefined for a program that takes it by itself. */
  readonly setsid: string | undefined;
}

/** Starts a program on a terminal of its own, which becomes its controlling terminal. */
export async function launchOnTerminal(launch: Launch, { size, pty, setsid }: TerminalLaunch): Promise<Launched> {
  const { master, slave } = openTerminal(pty, size, launch.user);
  coverDescriptor(master);
  // Held until all output is read: while a slave is open the master has no hang-up, which libuv would take for the end.
  let isSlaveOpen = true;
  const closeSlave = (): void => {
    if (isSlaveOpen) closeSync(slave);
    isSlaveOpen = false;
  };
  let isMasterOpen = true;
  const stdin = new TerminalInput(master);
  const stdout = new OutputStream(master, 'terminal', () => {
    isMasterOpen = false;
    stdin.abandon();
    uncoverDescriptor(master);
    closeSlave();
  });
  try {
    const child = await spawnChild({
      ...launch,
      ...(setsid !== undefined && { file: setsid, argv: ['setsid', '-c', ...launch.argv] }),
      stdio: [slave, slave, slave],
      newSession: setsid === undefined,
    });
    void child.exited.then(() => stdout.lookOn(closeSlave));
    const resize = ({ width, height }: TerminalSize): void => {
      if (isMasterOpen && width > 0 && height > 0) pty.resize(master, width, height, 0, 0);
    };
    return { child, stdin, stdout, resize };
  } catch (thrown) {
    stdout.destroy();
    throw thrown;
  }
}
