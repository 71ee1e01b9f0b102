import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { toError } from '../common/errors.ts';
import { Container, type ContainerOptions } from './container.ts';
import { type Confinement, dismantle, dropTools, type ImageUser, podDir, podFolders } from './isolation/index.ts';
import { killMarked, type MarkedProcess, markedProcesses } from './process/index.ts';
import type { ContainerRecord, SandboxRecord } from './record.ts';
import { tellMended } from './record-folder.ts';
import type { RuntimeState } from './runtime-state.ts';
import { Sandbox } from './sandbox.ts';

/**
 * Takes up what an earlier runtime left in the state directory, however it ended: every pod and container is there again
 * as it is now, what was half made or half removed is taken back or finished, and what belongs to none is cleared away.
 */
export async function restore(state: RuntimeState): Promise<void> {
  const { directory, records } = state;
  const { sandboxes, containers } = records.readAll();
  const marked = new Marked(markedProcesses(directory.marker), directory.marker);
  await dropTools(directory.path, directory.marker);
  await Promise.all(sandboxes.map((record) => restoreSandbox(state, record, marked)));
  const known = containers.filter((record) => {
    if (state.sandboxes.find(record.podSandboxId) !== undefined) return true;
    // Its pod was being removed, or its record is not to be read: it is only what is left of it.
    records.remove('container', record.id);
    return false;
  });
  const restored = known.map((record) => [record, addContainer(state, record)] as const);
  await Promise.all(restored.map(([record, container]) => restoreContainer(state, record, { container, marked })));
  await clearLeftovers(state, marked);
  await Promise.all(state.sandboxes.values().map((sandbox) => finishStop(state, sandbox)));
}

/** The processes of an earlier runtime, by pod or container. */
class Marked {
  readonly #byId = new Map<string, MarkedProcess[]>();

  constructor(all: readonly MarkedProcess[], marker: string) {
    for (const process of all) {
      const id = /^(?:\.keeper)?\/([0-9a-f]{64})(?:\/|$)/.exec(process.session.slice(marker.length))?.[1];
      if (id === undefined) continue;
      const others = this.#byId.get(id);
      if (others === undefined) this.#byId.set(id, [process]);
      else others.push(process);
    }
  }

  /** Of the pod or container itself, or of who keeps it. */
  of(id: string): readonly MarkedProcess[] {
    return this.#byId.get(id) ?? [];
  }

  get ids(): string[] {
    return [...this.#byId.keys()];
  }
}

async function restoreSandbox(state: RuntimeState, record: SandboxRecord, marked: Marked): Promise<void> {
  const { id, name, config, runtimeHandler, createdAt, isReady } = record;
  const { directory, records, isolation } = state;
  const pod = await isolation?.adoptPod(id, config, marked.of(id));
  const sandbox = new Sandbox(id, name, { config, runtimeHandler, createdAt, pod, isReady, records });
  state.sandboxes.add(sandbox);
  const had = pod === undefined && podFolders(directory.path).includes(id);
  const losses = [
    pod?.isLost === true && 'its first process has died',
    had && isolation === undefined && 'this runtime was started without isolation',
    (had || !directory.isSameBoot) && 'the machine was started anew, or somebody took its namespaces away',
  ];
  const why = losses.find((loss) => loss !== false);
  if (!isReady || why === undefined) return state.endWhenLost(sandbox);
  tellMended(id, `pod is not ready any more: ${why}`);
  sandbox.stop();
}

function addContainer(state: RuntimeState, record: ContainerRecord): Container {
  const { id, name, podSandboxId, config, argv, env, cwd, logPath, image, createdAt } = record;
  const container = new Container({
    ...state.surroundings(id),
    id,
    name,
    podSandboxId,
    config,
    argv,
    env,
    cwd,
    image,
    createdAt,
    logPath,
    user: userOf(record),
    ...(record.resources && { resources: record.resources }),
    hasWalls: record.hasWalls,
    confinement: confinementOf(state, record),
    stopSignal: record.stopSignal as NodeJS.Signals | number,
  });
  state.containers.add(container);
  return container;
}

function confinementOf(state: RuntimeState, record: ContainerRecord): Confinement | undefined {
  const { hasWalls, podSandboxId, config, id } = record;
  const pod = state.sandboxes.find(podSandboxId)?.pod;
  if (!hasWalls || pod === undefined) return undefined;
  const { directory } = state.surroundings(id);
  const user: ImageUser = { uid: 0, gid: 0, home: '/', groups: [], ...userOf(record) };
  return state.isolation?.findConfinement({
    config,
    pod,
    directory,
    user,
    pidOf: state.pidOf,
    resources: record.resources,
  });
}

function userOf({ user }: ContainerRecord): ContainerOptions['user'] {
  if (user === undefined) return undefined;
  const { uid, gid, groups, home } = user;
  return { uid, gid, ...(groups && { groups }), ...(home !== undefined && { home }) };
}

async function restoreContainer(
  state: RuntimeState,
  { id, phase, hasWalls }: ContainerRecord,
  { container, marked }: { readonly container: Container; readonly marked: Marked },
): Promise<void> {
  try {
    if (hasWalls && container.options.confinement === undefined) {
      await killAll(state, id);
      await dismantle(state.directory.path, container.options.directory);
      if (phase.name !== 'exited') tellMended(id, 'container is gone: its walls are not there any more');
      container.giveUp(phase, 'its root file system was taken away while no runtime ran');
      return;
    }
    const mended = await container.restore(phase, marked.of(id));
    if (mended !== undefined) tellMended(id, `container: ${mended}`);
  } catch (thrown) {
    const { message } = toError(thrown);
    tellMended(id, `container is ended, for it cannot be taken up: ${message}`);
    await killAll(state, id);
    container.giveUp(phase, `it could not be taken up: ${message}`);
  }
  const sandbox = state.sandboxes.find(container.options.podSandboxId);
  if (sandbox !== undefined && container.phase === 'running') state.tellEnd(sandbox, container);
}

/** A pod that was being stopped when its runtime ended is stopped; what is left of one that is lost is cleared away. */
async function finishStop(state: RuntimeState, sandbox: Sandbox): Promise<void> {
  if (sandbox.isReady) return;
  const { path } = state.directory;
  if (sandbox.pod === undefined && podFolders(path).includes(sandbox.id)) {
    await killAll(state, sandbox.id);
    await dismantle(path, podDir(path, sandbox.id));
  }
  await state.stopSandbox(sandbox).catch((thrown: unknown) => {
    tellMended(sandbox.id, `pod is not whole, and cannot be stopped: ${toError(thrown).message}`);
  });
}

/** Folders, mounts, addresses and processes without a record: of what was being made or removed. */
async function clearLeftovers(state: RuntimeState, marked: Marked): Promise<void> {
  const { path, containersDir, keptDir } = state.directory;
  const isKnown = (id: string): boolean => state.sandboxes.find(id)?.id === id || state.containers.find(id)?.id === id;
  const pods = podFolders(path);
  const folders = [...new Set([...readdirSync(containersDir), ...readdirSync(keptDir), ...pods, ...marked.ids])];
  const left = folders.filter((id) => !isKnown(id));
  const clear = async (id: string): Promise<void> => {
    await killAll(state, id);
    await dismantle(path, join(containersDir, id));
    for (const { pod } of state.sandboxes.values()) await pod?.cgroup?.remove(id);
    const obstacle = pods.includes(id) ? await dismantle(path, podDir(path, id)) : undefined;
    rmSync(join(keptDir, id), { recursive: true, force: true });
    const but = obstacle === undefined ? '' : `, but for its network: ${obstacle}`;
    tellMended(id, `was half made or half removed, and is cleared away${but}`);
  };
  await Promise.all(left.map(clear));
}

async function killAll(state: RuntimeState, id: string): Promise<void> {
  const { marker } = state.directory;
  await Promise.all([killMarked(`${marker}/${id}`), killMarked(`${marker}.keeper/${id}`)]);
}
