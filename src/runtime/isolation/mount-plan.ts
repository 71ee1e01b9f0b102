import { existsSync, lstatSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { isAbsolute, posix } from 'node:path';
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
import { quoted } from '../process/index.ts';
import type { Pod } from './pod.ts';

/** The device nodes that every container has. */
const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];
/** What a container may not see or change in /proc and /sys unless it is privileged: Kubernetes' own lists. */
const MASKED =
  '/proc/asound /proc/acpi /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats ' +
  '/proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap';
const READ_ONLY = '/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger';

export interface MountPlanOptions {
  readonly config: ContainerConfig;
  readonly pod: Pod;
  /** The container's root, mounted, nothing in it yet. */
  readonly root: string;
}

/**
 * The commands that mount what a container sees below its root, for sh(1) in its mount and pid namespaces.
 *
 * @throws RuntimeCallError for mounts that cannot be made
 */
export function mountCommands({ config, pod, root }: MountPlanOptions): string[] {
  const context = config.linux?.securityContext;
  const isPrivileged = context?.privileged === true;
  const isHostPid = context?.namespaceOptions?.pid === NamespaceMode.NODE;
  const files = podFiles(config, pod);
  for (const [target] of files) prepareFile(root, target);
  const given = config.mounts.toSorted((one, other) => depth(one) - depth(other));
  const masked = isPrivileged ? [] : listOr(context?.maskedPaths, MASKED);
  const readOnly = isPrivileged ? [] : listOr(context?.readonlyPaths, READ_ONLY);
  return [
    `R=${quoted(root)}`,
    ...FUNCTIONS,
    isHostPid
      ? 'place d /proc && mount --rbind /proc "$at"'
      : 'place d /proc && mount -t proc -o nosuid,nodev,noexec proc "$at"',
    ...deviceCommands(pod),
    `place d /sys && mount -t sysfs -o ${isPrivileged ? 'rw' : 'ro'},nosuid,nodev,noexec sysfs "$at"`,
    ...config.devices.map(({ hostPath, containerPath }) => bind(realPath(hostPath), containerPath, { kind: 'f' })),
    ...files.map(([target, source]) => bind(source, target, { kind: 'f' })),
    ...given.map((mount) => givenMount(mount, isPrivileged)),
    ...masked.map((path) => `mask ${quoted(path)}`),
    ...readOnly.map((path) => `protect ${quoted(path)}`),
    ...(context?.readonlyRootfs === true ? ['mount -o remount,bind,ro,nodev "$R"'] : []),
  ];
}

function listOr(given: readonly string[] | undefined, otherwise: string): readonly string[] {
  return given === undefined || given.length === 0 ? otherwise.split(' ') : given;
}

/**
 * `place d|f PATH` makes a mount point below the root and sets `at`; a path that leads through a link made by somebody
 * in a volume is refused, for it may lead anywhere.
 */
const FUNCTIONS = [
  'place() { at=$R$2; [ "$(realpath -m -- "$at")" = "$at" ] || { echo "mount point $2 leads through a link" >&2; exit 1; }',
  'if [ -e "$at" ]; then return 0; elif [ "$1" = d ]; then mkdir -p -- "$at"; else mkdir -p -- "${at%/*}" && : >"$at"; fi; }',
  'mask() { at=$R$1; if [ -d "$at" ]; then mount -t tmpfs -o ro,size=0k tmpfs "$at"; elif [ -e "$at" ]; then mount -o bind /dev/null "$at"; fi; }',
  // With the options $2, each mount at $1 or below it, by its path as mountinfo has it: spaces and the like are octal there, as printf knows them.
  'remount() { while read -r _ _ _ _ p _; do case $p in *[\\\\%]*) p=$(printf %s "$p" | sed "s/%/%%/g"); p=$(printf "$p");; esac; case $p in "$1"|"$1"/*) mount -o remount,bind,$2 "$p" || return 1;; esac; done </proc/self/mountinfo; }',
  'protect() { at=$R$1; if [ -e "$at" ]; then mount -o bind,ro "$at" "$at"; fi; }',
];

function deviceCommands(pod: Pod): string[] {
  return [
    // dev/.old is where the last root before the container's is put, and taken away again.
    'place d /dev && mount -t tmpfs -o nosuid,nodev,noexec,mode=755,size=64k dev "$at" && mkdir "$at/pts" "$at/shm" "$at/mqueue" "$at/.old"',
    ...DEVICES.map((name) => `: >"$R/dev/${name}" && mount -o bind /dev/${name} "$R/dev/${name}"`),
    'mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$R/dev/pts"',
    'ln -s pts/ptmx "$R/dev/ptmx"; ln -s /proc/self/fd "$R/dev/fd"',
    'for n in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${n%:*}" "$R/dev/${n#*:}"; done',
    `mount -o bind ${quoted(pod.file('shm'))} "$R/dev/shm"`,
    'mount -t mqueue -o nosuid,nodev,noexec mqueue "$R/dev/mqueue"',
  ];
}

/** The pod's own files, except where the kubelet brings its own. */
function podFiles(config: ContainerConfig, pod: Pod): [target: string, source: string][] {
  return (['hosts', 'hostname', 'resolv.conf'] as const)
    .filter((name) => existsSync(pod.file(name)))
    .filter((name) => !config.mounts.some(({ containerPath }) => posix.normalize(containerPath) === `/etc/${name}`))
    .map((name) => [`/etc/${name}`, pod.file(name)]);
}

/** Many images have `/etc/resolv.conf` as a link to somewhere: here it becomes a file. */
function prepareFile(root: string, target: string): void {
  const path = new RootFolder(root).place(target);
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats?.isFile() === true) return;
  rmSync(path, { recursive: true, force: true });
  writeFileSync(path, '', { flag: 'wx', mode: 0o644 });
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
    `place ${options.kind} ${quoted(plain)} && mount --rbind ${quoted(source)} "$at"`,
    `mount --make-${options.isSlave === true ? 'rslave' : 'rprivate'} "$at"`,
    ...(options.isNodev === true ? ['remount "$at" nodev'] : []),
    ...(options.readonly !== true
      ? []
      : [options.recursive === true ? 'remount "$at" ro' : 'mount -o remount,bind,ro "$at"']),
  ].join(' && ');
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
