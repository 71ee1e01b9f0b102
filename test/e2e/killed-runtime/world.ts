import { readFileSync } from 'node:fs';
import { ContainerState, NamespaceMode } from '../../../src/cri/index.ts';
import { HOST_IMAGE } from '../../../src/runtime/index.ts';
import { TEST_IMAGE } from '../../support/image.ts';
import type { SeededRandom } from '../../support/seed.ts';

/** What a container does: counts on stdout for ever, answers each line of its input, or ends by itself. */
export type Life = 'counts' | 'answers' | 'ends';

/** A pod as we asked for it. */
export interface PodSeen {
  readonly id: string;
  /** Somebody asked for its end, whether it was heard or not. */
  isEnding: boolean;
}

/** A container as we asked for it. */
export interface ContainerSeen {
  readonly id: string;
  readonly pod: PodSeen;
  readonly life: Life;
  readonly tty: boolean;
  /** The code with which it ends by itself. */
  readonly code: number;
  readonly logPath: string;
  /** The answer to its start came, or may have been lost. */
  start: 'no' | 'asked' | 'yes';
  /** Somebody asked for its end, or for its removal. */
  end: 'no' | 'stop' | 'remove';
  /** One of us is at work on it. */
  isBusy: boolean;
  /** Lines of its log that are missing: killed between reading and writing. */
  lost: number;
  /** Lines that are there. */
  read: number;
}

const scripts: Readonly<Record<Life, (code: number) => string>> = {
  counts: () => 'i=0; while :; do i=$((i+1)); echo "$i"; [ $((i % 20)) = 0 ] && sleep 0.1; done',
  answers: () => 'while read line; do echo "<$line>"; done',
  ends: (code) => `sleep 0.2; echo last; exit ${code}`,
};

/** The configuration of a new container. */
export function containerConfig(name: string, { random, hasWalls }: { random: SeededRandom; hasWalls: boolean }) {
  const life = random.pick(['counts', 'answers', 'ends'] as const);
  const tty = life === 'answers' && random.between(0, 2) === 0;
  const code = random.between(1, 100);
  const image = hasWalls && random.between(0, 2) > 0 ? TEST_IMAGE : HOST_IMAGE;
  const pid = random.pick([NamespaceMode.CONTAINER, NamespaceMode.POD]);
  const config = {
    metadata: { name, attempt: 0 },
    image: { image },
    command: ['sh', '-c', scripts[life](code)],
    logPath: `${name}.log`,
    stdin: life === 'answers',
    tty,
    linux: { securityContext: { namespaceOptions: { pid, network: NamespaceMode.POD, ipc: NamespaceMode.POD } } },
  };
  return { config, life, tty, code };
}

/** @returns what is wrong with the state of a container after a restart */
export function wrongState(
  { id, life, code, start, end }: ContainerSeen,
  seen: { readonly state: ContainerState; readonly exitCode: number; readonly reason: string } | undefined,
): string[] {
  const what = `container ${id.slice(0, 8)} that ${life}`;
  if (seen === undefined) return end === 'remove' ? [] : [`${what} is gone`];
  switch (seen.state) {
    case ContainerState.CONTAINER_CREATED:
      return start === 'yes' ? [`${what} ran, and is created again`] : [];
    case ContainerState.CONTAINER_RUNNING:
      return start === 'no' ? [`${what} runs, and nobody started it`] : [];
    case ContainerState.CONTAINER_EXITED: {
      const may = [...(life === 'ends' ? [code] : []), ...(end === 'no' ? [] : [137])];
      return may.includes(seen.exitCode)
        ? []
        : [`${what} ended with ${seen.exitCode} (${seen.reason}), not ${may.join(' or ')}`];
    }
    default:
      return [`${what} is in state ${seen.state}`];
  }
}

/** Looks at the numbers in the log of a container that counts. @returns what is wrong, and how many are missing or there */
export function readCounts(logPath: string): {
  readonly wrong: string[];
  readonly missing: number;
  readonly lines: number;
} {
  let last = 0;
  let missing = 0;
  const wrong: string[] = [];
  const lines = readFileSync(logPath, 'utf8').split('\n').slice(0, -1);
  for (const line of lines) {
    const [, number] = /^\S+ stdout F (\d+)$/.exec(line) ?? [];
    const value = Number(number ?? Number.NaN);
    if (Number.isNaN(value)) wrong.push(`${logPath}: ${JSON.stringify(line)} is no number`);
    else if (value <= last) wrong.push(`${logPath}: ${value} comes after ${last}`);
    else missing += value - last - 1;
    last = value;
  }
  return { wrong, missing, lines: lines.length };
}
