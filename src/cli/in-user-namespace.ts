import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Io } from './io.ts';

/** What a command wants of the runtime that it starts. */
export interface NamespaceWish {
  readonly isolation: boolean | 'auto';
  /** The runtime's folder; undefined for one that goes with the command. */
  readonly stateDir: string | undefined;
  /** An image is brought along, beside those that are in the folder. */
  readonly hasImage: boolean;
}

/**
 * Without root, containers of images take a user namespace: there this command line runs again, as its root.
 *
 * @returns the exit code; undefined where the command is to go on here, as root, or without such containers
 * @throws ExecPathError ERR_ISOLATION when walls are wanted and cannot be had
 */
export async function runInUserNamespace(io: Io, wish: NamespaceWish): Promise<number | undefined> {
  const { isolation, stateDir, hasImage } = wish;
  if (!canChange(io) || isolation === false) return undefined;
  const { ImageStore, userNamespaceObstacle } = await import('../runtime/index.ts');
  const hasImages = hasImage || (stateDir !== undefined && new ImageStore(stateDir).list().length > 0);
  if (isolation === 'auto' && !hasImages) return undefined;
  if (isolation === 'auto' && (await userNamespaceObstacle()) !== undefined) return undefined;
  return runInside(io, stateDir);
}

/**
 * Files of an image belong to several users: where a user namespace has them, this command line runs again in one.
 *
 * @returns as {@link runInUserNamespace}
 */
export async function runAmongManyUsers(io: Io, stateDir: string): Promise<number | undefined> {
  if (!canChange(io)) return undefined;
  const { hasManyUsers } = await import('../runtime/index.ts');
  return (await hasManyUsers()) ? runInside(io, stateDir) : undefined;
}

function canChange({ command }: Io): boolean {
  return command.length > 0 && process.platform === 'linux' && process.getuid?.() !== 0;
}

/** Of one on a terminal, ctrl-C and the like reach both of us; other signals are passed on. */
async function runInside(io: Io, stateDir: string | undefined): Promise<number> {
  const { UserNamespace } = await import('../runtime/index.ts');
  const space = await UserNamespace.open(stateDir === undefined ? undefined : join(stateDir, 'user-namespace.json'));
  const passed: readonly NodeJS.Signals[] = io.inIsTerminal
    ? ['SIGTERM']
    : ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];
  const back: (() => void)[] = [];
  try {
    const [file = '', ...argv] = [...space.way(process.cwd()), ...io.command];
    const child = spawn(file, argv, { stdio: 'inherit', env: io.env, detached: !io.inIsTerminal });
    back.push(
      io.onSignal(passed, (name) => void child.kill(name)),
      io.onSignal(io.inIsTerminal ? ['SIGINT', 'SIGQUIT', 'SIGHUP'] : [], () => {}),
    );
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  } finally {
    for (const undo of back) undo();
    await space.release();
  }
}
