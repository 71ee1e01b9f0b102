import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { type ContainerConfig, grpcCodes, RuntimeCallError } from '../../cri/index.ts';
import { IdMap, type ProcessSpec, type ProcessUser } from '../process/index.ts';
import { capabilitiesWithout } from './capabilities.ts';
import type { Pod } from './pod.ts';
import { toolPath } from './tool.ts';
import type { ToolsRoot } from './tools-root.ts';

/** Opens what comes later by descriptor, so that it needs no path: 6 our stderr, 7 environment, 8 ready, 9 go. */
const OPEN = 'exec 6>&2 2>"$1" 7<"$2" 8>"$3" 9<>"$4"; shift 4; exec "$@"';
/**
 * For an exec. What a shell says of a working directory that it cannot name, and a tool that fails, goes to a file, which
 * is there and is written over. Then it becomes a member of the container's cgroups, before it or anything of the
 * container can fork.
 */
const OPEN_EXEC =
  'exec 6>&2 2<>"$1" 7<"$2"; [ -z "$3" ] || echo "$3" >/proc/self/oom_score_adj; n=$4; shift 4; ' +
  'while [ "$n" -gt 0 ]; do echo 0 >"$1" || exit 1; shift; n=$((n - 1)); done; exec "$@"';
/**
 * Has the container's rights already and a root with nothing but tools: says so, waits for the container's root to be
 * put under it, and becomes the command. The shell is in memory by then and needs no file of the host.
 */
const WAIT = 'echo >&8; read -r go <&9; exec 2>&6 6>&- 7<&- 8>&- 9>&-; cd -- "$1" && shift && exec "$@"';
/**
 * For an exec, in whose case a program of the host makes the last step. Nobody waits for it, so it says where tools
 * complain that it got here.
 */
const BECOME = 'echo + >&2; exec 2>&6 6>&- 7<&-; exec "$@"';
/** The line of {@link BECOME}, behind what tools had to say without failing. */
const HAS_BECOME = /(^|\n)\+\n$/;

/**
 * For an exec beside a root that has dropped SYS_CHROOT: the one tool that takes rights away and changes the root in one
 * process. It looks for no command, so that has its path, and begins in `/`.
 */
const PREPARE_ROOT =
  'c=$1 d=$2 p=$3; shift 4; set -- "$c" --inh= "--drop=$d" --chroot=. "--shell=$p" -- "$@"; unset c d p; ';
const CHANGE_FOLDER = 'cd -- "$0" && exec "$@"';

/** What the processes of a container may do. */
export interface Rights {
  readonly config: ContainerConfig;
  readonly user: Required<ProcessUser>;
  /** In setpriv's spelling. */
  readonly capabilities: readonly string[];
}

export interface WayToStart {
  /** Paths: where tools complain, the environment, two FIFOs. */
  readonly files: readonly [errors: string, environment: string, ready: string, go: string];
  /** Mount everything below the root, which they call `$R`. */
  readonly commands: readonly string[];
  /** Takes the environment from descriptor 7, for sh(1). */
  readonly evaluate: string;
  readonly pod: Pod;
  readonly tools: ToolsRoot;
  readonly rights: Rights;
  readonly spec: ProcessSpec;
  /** To join; undefined for one of its own. */
  readonly pidNamespace: string | undefined;
}

/** The words before a container's own command: from the host through namespaces and mounts to a shell that waits. */
export function wayToStart({
  files,
  commands,
  evaluate,
  pod,
  tools,
  rights,
  spec,
  pidNamespace,
}: WayToStart): string[] {
  const script = ['set -e', ...commands, 'T=$1; shift', 'cd "$T"; pivot_root . old; cd /; umount -l /old', 'exec "$@"'];
  const shared = (['net', 'ipc', 'uts'] as const).flatMap((kind) => {
    const file = pod.namespace(kind);
    return file === undefined ? [] : [`--${kind}=${file}`];
  });
  const leavesPids = pidNamespace === undefined || !isOurs(pidNamespace);
  return [
    [tool('sh'), '-c', OPEN, 'podwire', ...files],
    [tool('nsenter'), ...shared, ...joining('pid', pidNamespace), '--'],
    [tool('unshare'), '--mount', '--propagation', 'slave'],
    // A shell starts the first process of the namespace and waits: unshare(1) 2.38 says 1 for one that a signal ended.
    pidNamespace === undefined ? ['--pid', '--', tool('sh'), '-c', '"$@"; exit $?', 'podwire'] : ['--'],
    [tool('sh'), '-c', script.join('\n'), 'podwire', tools.path],
    // A terminal's session must be one of the container's own pid namespace, or there is no job control. Only the
    // machine's root can take it from the session that has it. Among the machine's processes it is one already, and
    // setsid(1) would leave its leader behind.
    spec.tty === undefined || !IdMap.own().isWhole || !leavesPids ? [] : [tool('setsid'), '-c'],
    [tool('setpriv'), `--reuid=${rights.user.uid}`, '--inh-caps=-all', ...limits(rights), '--'],
    [tool('sh'), '-c', `${evaluate}${WAIT}`, 'podwire', spec.cwd],
  ].flat();
}

/** @param errors what {@link WayToExec} has in its file of errors, or the end of that */
export function hasBecome(errors: string): boolean {
  return HAS_BECOME.test(errors);
}

export interface WayToExec {
  /** Paths, of this exec alone: where tools complain, the environment. */
  readonly files: readonly [errors: string, environment: string];
  /** As {@link WayToStart.evaluate}. */
  readonly evaluate: string;
  /** Of the container's cgroups: who writes 0 is in. */
  readonly memberFiles: readonly string[];
  /** That of the first process; empty when it is gone. */
  readonly outOfMemoryScore: string;
  /** Pid of the container's first process. */
  readonly first: number;
  readonly tools: ToolsRoot;
  readonly rights: Rights;
  readonly spec: ProcessSpec;
  /** Path of the command inside the container. */
  readonly program: string;
}

/**
 * The words before a command that runs beside a container's own.
 *
 * @throws RuntimeCallError FailedPrecondition when a tool is missing that the way in needs
 */
export function wayToExec({
  files,
  evaluate,
  memberFiles,
  outOfMemoryScore,
  first,
  tools,
  rights,
  spec,
  program,
}: WayToExec): string[] {
  const { user, capabilities } = rights;
  const needed = user.uid === 0 ? ['sys_chroot'] : ['sys_chroot', 'setuid'];
  const missing = needed.filter((name) => !capabilities.includes(name));
  const flags = { mount: 'mnt', net: 'net', ipc: 'ipc', uts: 'uts', pid: 'pid' };
  const kinds = Object.entries(flags).flatMap(([flag, kind]) => joining(flag, `/proc/${first}/ns/${kind}`));
  // After nsenter there is the tools root alone, and no PATH that leads to it once the environment is there.
  const inside = [
    [tool('sh'), '-c', OPEN_EXEC, 'podwire', ...files, outOfMemoryScore, String(memberFiles.length), ...memberFiles],
    [tool('nsenter'), ...kinds, `--root=${tools.root}`, `--wd=/proc/${first}/root`, '--'],
    spec.takesTerminal === true ? [tool('setsid'), '-c'] : [],
  ].flat();
  if (missing.length > 0 && user.uid === 0) {
    const capsh = toolPath('capsh');
    if (capsh === undefined) {
      const rule =
        'no command can be started beside one of root that has dropped SYS_CHROOT: that takes capsh(1) of libcap2-bin';
      throw new RuntimeCallError(grpcCodes.FailedPrecondition, rule);
    }
    const before = [tool('setpriv'), ...limits(rights).filter((flag) => !flag.startsWith('--bounding-set=')), '--'];
    const change = [capsh, capabilitiesWithout(capabilities).join(',')];
    const command = spec.cwd === '/' ? [program] : ['/bin/sh', 'sh', '-c', CHANGE_FOLDER, spec.cwd];
    return [
      inside,
      before,
      [tool('sh'), '-c', `${PREPARE_ROOT}${evaluate}${BECOME}`, 'podwire'],
      change,
      command,
    ].flat();
  }
  const inheritable = `--inh-caps=${['-all', ...missing.map((name) => `+${name}`)].join(',')}`;
  return [
    inside,
    // Inheritable ones outlast the bounding set: unshare(1) has them, and loses them when it becomes the user. No new
    // privileges, so that no setuid program gets them back.
    missing.length === 0 ? [] : [tool('setpriv'), inheritable, '--'],
    [tool('setpriv'), ...limits(rights), ...(missing.length > 0 ? ['--nnp'] : [inheritable]), '--'],
    [tool('sh'), '-c', `${evaluate}${BECOME}`, 'podwire', tool('unshare'), '--root=.', `--wd=${spec.cwd}`],
    user.uid === 0 ? ['--'] : [`--setuid=${user.uid}`, '--'],
  ].flat();
}

/** One in which we are already need not be joined, and in a user namespace may not: it belongs to the machine's root. */
function joining(flag: string, file: string | undefined): string[] {
  return file === undefined || isOurs(file) ? [] : [`--${flag}=${file}`];
}

/** @param file of a namespace, `…/ns/KIND` */
export function isOurs(file: string): boolean {
  return namespaceAt(file) === namespaceAt(`/proc/self/ns/${basename(file)}`);
}

function namespaceAt(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    // Its process has ended, which nsenter(1) says better.
    return file;
  }
}

/** By its path: each word that is looked up in a long PATH costs as many system calls. */
function tool(name: string): string {
  return toolPath(name) ?? name;
}

/** Where groups cannot be set they are those of who started the runtime, none of which means anything inside. */
export function groupsFlag(groups: readonly number[]): string {
  if (!IdMap.own().canSetGroups) return '--keep-groups';
  return groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`;
}

function limits({ user, capabilities, config }: Rights): string[] {
  return [
    `--regid=${user.gid}`,
    groupsFlag(user.groups),
    `--bounding-set=${['-all', ...capabilities.map((name) => `+${name}`)].join(',')}`,
    ...(config.linux?.securityContext?.noNewPrivs === true ? ['--nnp'] : []),
  ];
}
