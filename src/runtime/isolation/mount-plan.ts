import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { isAbsolute, join, posix } from 'node:path';
import { toError } from '../../common/errors.ts';
import {
  type ContainerConfig,
  grpcCodes,
  type Mount,
  MountPropagation,
  NamespaceMode,
  RuntimeCallError,
} from '../../cri/index.ts';
import { RootFolder } from '../image/index.ts';
import { IdMap, quoted } from '../process/index.ts';
import type { Pod } from './pod.ts';

/** The device nodes that every container has. */
const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];
/** The group of terminals. */
const TTY = 5;
/** What a container may not see or change in /proc and /sys unless it is privileged: Kubernetes' own lists. */
const MASKED =
  '/proc/asound /proc/acpi /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats ' +
  '/proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap';
const READ_ONLY = '/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger';

/** What no container takes from the host's /dev. */
const OF_ITS_OWN = new Set([...DEVICES, 'console', 'ptmx', 'pts', 'shm', 'mqueue', 'fd']);

export interface MountPlanOptions {
  readonly config: ContainerConfig;
  readonly pod: Pod;
  /** The container's root, mounted, nothing in it yet. */
  readonly root: string;
  /** Where it is to be seen with everything below it. */
  readonly target: string;
  /** What is in every /dev beside devices; see {@link DEV_SKELETON}. */
  readonly skeleton: string;
  /** A file for us alone: the table that mount(8) reads. */
  readonly table: string;
}

/** Mount points in /dev, files for devices among them; `.old` is where the last root before the container's is put. */
export const DEV_SKELETON = {
  folders: ['pts', 'shm', 'mqueue', '.old'],
  files: DEVICES,
  links: {
    ptmx: 'pts/ptmx',
    fd: '/proc/self/fd',
    stdin: '/proc/self/fd/0',
    stdout: '/proc/self/fd/1',
    stderr: '/proc/self/fd/2',
  },
} as const;

/**
 * The commands that mount what a container sees below its root, for sh(1) in its mount and pid namespaces. A mount costs a
 * system call and a mount(8) a process: so as many as can be are in one table.
 *
 * @throws RuntimeCallError for mounts that cannot be made
 */
export function mountCommands({ config, pod, root, target, skeleton, table }: MountPlanOptions): string[] {
  const context = config.linux?.securityContext;
  const isPrivileged = context?.privileged === true;
  const isHostPid = context?.namespaceOptions?.pid === NamespaceMode.NODE;
  for (const name of ['proc', 'dev', 'sys']) prepareFolder(join(root, name), name);
  const files = podFiles(config, pod).map(([path, source]) => entry(source, prepareFile(root, path), 'rbind,rprivate'));
  const places = new MountPlaces(root);
  const given = [
    ...config.devices.map(({ hostPath, containerPath }) =>
      bind(realPath(hostPath), places.take(containerPath), { kind: 'f' }),
    ),
    ...config.mounts
      .toSorted((one, other) => depth(one) - depth(other))
      .map((mount) => givenMount({ ...mount, containerPath: places.take(mount.containerPath) }, isPrivileged)),
  ];
  const at = (path: string): string => join(root, path);
  const ids = IdMap.own();
  const hostDevices = isPrivileged && ids.isWhole ? devicesOfHost() : [];
  return [
    `R=${quoted(root)} E=${quoted(escaped(root))} F=${quoted(table)}`,
    ...FUNCTIONS,
    lines([
      isHostPid ? entry('/proc', at('proc'), 'rbind') : entry('proc', at('proc'), 'nosuid,nodev,noexec', 'proc'),
      entry('dev', at('dev'), `nosuid,${hostDevices.length > 0 ? '' : 'nodev,'}noexec,mode=755,size=64k`, 'tmpfs'),
      ...sysEntries(at('sys'), isPrivileged, ids),
    ]),
    'mount_table',
    `cp -a ${quoted(`${skeleton}/.`)} "$R/dev/"`,
    ...(hostDevices.length > 0
      ? [`(cd /dev && cp -a --parents -- ${hostDevices.map(quoted).join(' ')} "$R/dev/")`]
      : []),
    lines([
      ...DEVICES.map((name) => entry(`/dev/${name}`, at(`dev/${name}`), 'bind')),
      entry('devpts', at('dev/pts'), ptsOptions(ids), 'devpts'),
      entry(pod.file('shm'), at('dev/shm'), 'bind'),
      entry('mqueue', at('dev/mqueue'), 'nosuid,nodev,noexec', 'mqueue'),
      ...files,
    ]),
    ...(given.length > 0 ? ['mount_table', ...given] : []),
    ...(isPrivileged ? [] : hidden(context?.maskedPaths, context?.readonlyPaths)),
    ...(context?.readonlyRootfs === true ? ['mount_table', 'mount -o remount,bind,ro,nodev "$R"'] : []),
    lines([entry(root, target, 'rbind')]),
    'mount_table',
  ];
}

/** One line of fstab(5). */
function entry(source: string, target: string, options: string, type = 'none'): string {
  return `${escaped(source)} ${escaped(target)} ${type} ${options} 0 0`;
}

/** That of the host's network can be mounted by the machine's root alone; others see it as the host mounted it. */
function sysEntries(target: string, isPrivileged: boolean, ids: IdMap): string[] {
  if (ids.isWhole) return [entry('sysfs', target, `${isPrivileged ? 'rw' : 'ro'},nosuid,nodev,noexec`, 'sysfs')];
  // Without the cgroups, some of which may be the user's own.
  return [
    entry('/sys', target, isPrivileged ? 'rbind' : 'rbind,ro'),
    entry('tmpfs', `${target}/fs/cgroup`, 'ro,nosuid,nodev,noexec,size=0k', 'tmpfs'),
  ];
}

/** Device nodes below /dev that a privileged container has beside those that each has. */
function devicesOfHost(folder = ''): string[] {
  return readdirSync(join('/dev', folder), { withFileTypes: true }).flatMap((item) => {
    const path = posix.join(folder, item.name);
    if (OF_ITS_OWN.has(path)) return [];
    if (item.isDirectory()) return devicesOfHost(path);
    return item.isCharacterDevice() || item.isBlockDevice() ? [path] : [];
  });
}

/** Terminals belong to the group tty, where there is one. */
function ptsOptions(ids: IdMap): string {
  const options = 'nosuid,noexec,newinstance,ptmxmode=0666,mode=0620';
  return ids.hasGroup(TTY) ? `${options},gid=${TTY}` : options;
}

function lines(entries: readonly string[]): string {
  return `line ${quoted(entries.join('\n'))}`;
}

/** As fstab(5) wants it. */
function escaped(path: string): string {
  return path.replaceAll(/[ \t\n\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/** What is hidden hides what is below it too. */
function hidden(masked: readonly string[] | undefined, readOnly: readonly string[] | undefined): string[] {
  const all = listOr(masked, MASKED);
  const isBelow = (path: string): boolean => all.some((other) => path.startsWith(`${other}/`));
  const command = (name: string, path: string): string => `${name} ${quoted(path)} ${quoted(escaped(path))}`;
  return [
    ...all.filter((path) => !isBelow(path)).map((path) => command('mask', path)),
    ...listOr(readOnly, READ_ONLY)
      .filter((path) => !isBelow(path) && !all.includes(path))
      .map((path) => command('protect', path)),
  ];
}

function listOr(given: readonly string[] | undefined, otherwise: string): readonly string[] {
  return given === undefined || given.length === 0 ? otherwise.split(' ') : given;
}

/**
 * `place d|f PATH` makes a mount point below the root and sets `at`; a path that leads through a link made by somebody
 * in a volume is refused, for it may lead anywhere. `line`, `mask PATH ESCAPED` and `protect PATH ESCAPED` write into the
 * table, `mount_table` mounts what is in it.
 */
const FUNCTIONS = [
  `: >"$F"; line() { printf '%s\\n' "$1" >>"$F"; }`,
  'mount_table() { mount -a -T "$F"; : >"$F"; }',
  'place() { at=$R$2; [ "$(realpath -m -- "$at")" = "$at" ] || { echo "mount point $2 leads through a link" >&2; exit 1; }',
  'if [ -e "$at" ]; then return 0; elif [ "$1" = d ]; then mkdir -p -- "$at"; else mkdir -p -- "${at%/*}" && : >"$at"; fi; }',
  'mask() { if [ -d "$R$1" ]; then line "tmpfs $E$2 tmpfs ro,size=0k 0 0"; elif [ -e "$R$1" ]; then line "/dev/null $E$2 none bind 0 0"; fi; }',
  'protect() { if [ -e "$R$1" ]; then line "$E$2 $E$2 none bind,ro 0 0"; fi; }',
  // With the options $2, each mount at $1 or below it, by its path as mountinfo has it: spaces and the like are octal there, as printf knows them. One that another hides cannot be reached, by nobody.
  'remount() { while read -r _ _ _ _ p _; do case $p in *[\\\\%]*) p=$(printf %s "$p" | sed "s/%/%%/g"); p=$(printf "$p");; esac; case $p in "$1"|"$1"/*) mount -o remount,bind,$2 "$p" || ! mountpoint -q "$p" || return 1;; esac; done </proc/self/mountinfo; }',
];

/** The pod's own files, except where the kubelet brings its own. */
function podFiles(config: ContainerConfig, pod: Pod): [target: string, source: string][] {
  return (['hosts', 'hostname', 'resolv.conf'] as const)
    .filter((name) => existsSync(pod.file(name)))
    .filter((name) => !config.mounts.some(({ containerPath }) => posix.normalize(containerPath) === `/etc/${name}`))
    .map((name) => [`/etc/${name}`, pod.file(name)]);
}

function prepareFolder(path: string, name: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) mkdirSync(path, { mode: 0o755 });
  else if (!stats.isDirectory()) throw refusal(`mount point /${name} is no folder in the image`);
}

/**
 * Many images have `/etc/resolv.conf` as a link to somewhere: here it becomes a file.
 *
 * @returns its path on the host
 */
function prepareFile(root: string, target: string): string {
  const path = new RootFolder(root).place(target);
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats?.isFile() === true) return path;
  rmSync(path, { recursive: true, force: true });
  writeFileSync(path, '', { flag: 'wx', mode: 0o644 });
  return path;
}

/** @throws RuntimeCallError InvalidArgument for mounts that cannot be made, whatever the host has */
export function assertMounts({ mounts }: ContainerConfig): void {
  for (const mount of mounts) assertMount(mount);
}

function assertMount(mount: Mount): void {
  const { containerPath, readonly, propagation, recursiveReadOnly, image } = mount;
  if (!isAbsolute(containerPath) || posix.normalize(containerPath) === '/') {
    throw refusal(`mount point ${JSON.stringify(containerPath)} is no absolute path below /`);
  }
  if (image !== undefined) throw refusal(`mount ${JSON.stringify(containerPath)} wants an image as a volume`);
  if (recursiveReadOnly && (!readonly || propagation !== MountPropagation.PROPAGATION_PRIVATE)) {
    throw refusal(`mount ${JSON.stringify(containerPath)} is to be recursive read-only, so read-only and private`);
  }
  if (propagation === MountPropagation.PROPAGATION_BIDIRECTIONAL) {
    throw refusal(`mount ${JSON.stringify(containerPath)} wants to propagate to the host`);
  }
}

/** What a container makes in a volume must not open a device of the host: with MKNOD it may make any. */
function givenMount(
  { containerPath, hostPath, readonly, propagation, recursiveReadOnly }: Mount,
  isPrivileged: boolean,
): string {
  const source = realPath(hostPath);
  const kind = statSync(source).isDirectory() ? 'd' : 'f';
  return bind(source, containerPath, {
    kind,
    readonly,
    recursive: recursiveReadOnly,
    isNodev: !isPrivileged,
    isSlave: propagation === MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
  });
}

function bind(
  source: string,
  target: string,
  options: {
    readonly kind: 'd' | 'f';
    readonly readonly?: boolean;
    readonly recursive?: boolean;
    readonly isSlave?: boolean;
    readonly isNodev?: boolean;
  },
): string {
  const plain = posix.normalize(target).replace(/\/$/, '');
  return [
    `place ${options.kind} ${quoted(plain)}`,
    `mount --rbind --make-${options.isSlave === true ? 'rslave' : 'rprivate'} ${quoted(source)} "$at"`,
    ...(options.isNodev === true ? ['remount "$at" nodev'] : []),
    ...(options.readonly !== true
      ? []
      : [options.recursive === true ? 'remount "$at" ro' : 'mount -o remount,bind,ro "$at"']),
  ].join(' && ');
}

/**
 * Where mounts go, one after the other. Links of the image are followed, as those of `/var/run` must be; what lies in
 * something that is mounted by then is not looked at: a link there may be somebody else's, and `place` refuses it.
 */
class MountPlaces {
  readonly #root: RootFolder;
  readonly #covered = new Set(['/proc', '/dev', '/sys']);

  constructor(root: string) {
    this.#root = new RootFolder(root);
  }

  /** @throws RuntimeCallError for a mount point that leads to the root itself */
  take(containerPath: string): string {
    const place = this.#root.follow(containerPath, (path) => this.#covered.has(path));
    if (posix.normalize(place) === '/') {
      throw refusal(`mount point ${JSON.stringify(containerPath)} leads to the root itself`);
    }
    this.#covered.add(place);
    return place;
  }
}

function depth({ containerPath }: Mount): number {
  return posix.normalize(containerPath).split('/').length;
}

function realPath(hostPath: string): string {
  try {
    return realpathSync(hostPath);
  } catch (cause) {
    throw refusal(`host path ${JSON.stringify(hostPath)} of a mount: ${toError(cause).message}`);
  }
}

function refusal(message: string): RuntimeCallError {
  return new RuntimeCallError(grpcCodes.InvalidArgument, message);
}
