import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ExecPathError, toError } from '../common/errors.ts';
import { CertificateAuthority } from './authority.ts';
import { isDueForRenewal, readPair, type StoredPair, writePair } from './pair-files.ts';

/** An authority and the files it is kept in; `certificateFile` is what peers take as their CA bundle. */
export interface StoredAuthority {
  readonly authority: CertificateAuthority;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/**
 * The authority in `folder` (`ca.crt`, `ca.key`), made when the folder is not there. Two thirds through its time its
 * certificate is renewed with the same name and key, so that all it issued stays valid.
 *
 * Of several processes that start at once, one makes it and all use that one: the folder appears whole, by rename.
 *
 * @throws ExecPathError ERR_CERTIFICATE when the folder is there, but holds no usable authority: to make another one
 *   would cut off everybody who trusts the first
 */
export async function loadOrCreateAuthority(folder: string, commonName: string): Promise<StoredAuthority> {
  const kept = (await load(folder)) ?? (await create(folder, commonName)) ?? (await load(folder));
  if (kept === undefined) {
    const message = `${folder} is there, but ca.crt and ca.key in it are missing or do not belong together: restore them, or remove the folder`;
    throw new ExecPathError('ERR_CERTIFICATE', message);
  }
  return kept;
}

async function load(folder: string): Promise<StoredAuthority | undefined> {
  const pair = await readPair(folder, 'ca');
  if (pair === undefined) return undefined;
  const authority = new CertificateAuthority(pair);
  if (!isDueForRenewal(pair.certificate)) return stored(authority, pair);
  const renewed = await authority.renew();
  return stored(renewed, await writePair(folder, 'ca', renewed));
}

function stored(authority: CertificateAuthority, { certificateFile, keyFile }: StoredPair): StoredAuthority {
  return { authority, certificateFile, keyFile };
}

/** undefined when somebody else was faster. */
async function create(folder: string, commonName: string): Promise<StoredAuthority | undefined> {
  const authority = await CertificateAuthority.create(commonName);
  const draft = `${folder}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await mkdir(dirname(folder), { recursive: true, mode: 0o700 });
    await writePair(draft, 'ca', authority);
    await rename(draft, folder);
    return { authority, certificateFile: join(folder, 'ca.crt'), keyFile: join(folder, 'ca.key') };
  } catch (thrown) {
    const { code } = toError(thrown) as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return undefined;
    throw new ExecPathError('ERR_CERTIFICATE', `${folder} cannot be made: ${toError(thrown).message}`, {
      cause: thrown,
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
