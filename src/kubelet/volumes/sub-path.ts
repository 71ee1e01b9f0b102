import { closeSync, constants, fstatSync, mkdirSync, openSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { ExecPathError, toError } from '../../common/errors.ts';
import { manifestError } from '../manifest-error.ts';

/** As many symbolic links as Linux follows in one path. */
const MAX_SYMLINKS = 40;
/** Linux' open flag for what is only named, never read: a FIFO or device among it does nothing. Node does not list it. */
const O_PATH = 0o10000000;

/**
 * The path on this node of `subPath` in `volume`, with no symbolic link in it. The containers of the pod write in the
 * volume, so every link there is somebody else's: those that stay inside are followed, others are refused. Each step is
 * taken from the open folder before it, so a folder that is exchanged for a link meanwhile leads nowhere else.
 *
 * What is missing is made a folder (0750), as upstream does.
 *
 * @param volume exists, and is the node's own word
 * @throws ExecPathError ERR_MANIFEST
 */
export function resolveSubPath(volume: string, subPath: string): string {
  const refuse = (why: string): never => {
    throw manifestError(`subPath ${JSON.stringify(subPath)} ${why}`);
  };
  const pending = partsOf(subPath);
  const top = realpathSync(volume);
  /** Open folders from the volume's own on; the last may be a file. */
  const walked: { readonly name: string; readonly fd: number }[] = [{ name: top, fd: openSync(top, O_PATH) }];
  let links = 0;
  try {
    for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
      if (part === '..') {
        const left = walked.length > 1 ? walked.pop() : undefined;
        if (left === undefined) refuse('leaves its volume');
        else closeSync(left.fd);
        continue;
      }
      const at = `/proc/self/fd/${walked.at(-1)?.fd}/${part}`;
      const fd = openOrMake(at);
      if (!fstatSync(fd).isSymbolicLink()) {
        walked.push({ name: part, fd });
        continue;
      }
      closeSync(fd);
      links += 1;
      if (links > MAX_SYMLINKS) refuse(`has more than ${MAX_SYMLINKS} symbolic links`);
      const target = readlinkSync(at);
      if (target.startsWith('/')) refuse(`leaves its volume by the link ${part} to ${JSON.stringify(target)}`);
      pending.unshift(...partsOf(target));
    }
    return join(...walked.map(({ name }) => name));
  } catch (thrown) {
    if (thrown instanceof ExecPathError) throw thrown;
    return refuse(`cannot be used: ${toError(thrown).message}`);
  } finally {
    for (const { fd } of walked) closeSync(fd);
  }
}

function openOrMake(path: string): number {
  try {
    return openSync(path, O_PATH | constants.O_NOFOLLOW);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
    mkdirSync(path, { mode: 0o750 });
    return openSync(path, O_PATH | constants.O_NOFOLLOW);
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
