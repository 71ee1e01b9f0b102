/** A digest as images use it: the algorithm that everybody has, 64 hex digits. */
const DIGEST = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/**
 * The full form of an image reference, as containerd keeps it: `busybox` is `docker.io/library/busybox:latest`.
 *
 * @param reference name, name:tag, name@digest or name:tag@digest, which is taken as name@digest
 */
export function fullReference(reference: string): string {
  const [named = '', digest] = reference.split('@');
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const name = fullName(hasTag ? named.slice(0, colon) : named);
  if (digest !== undefined) return `${name}@${digest}`;
  return `${name}:${hasTag ? named.slice(colon + 1) : 'latest'}`;
}

/** The name of a full reference, without tag or digest. */
export function nameOf(reference: string): string {
  const [named = ''] = fullReference(reference).split('@');
  const colon = named.lastIndexOf(':');
  return colon > named.lastIndexOf('/') ? named.slice(0, colon) : named;
}

/** A first part with a dot or a port, or `localhost`, is a registry; without one it is Docker's. */
function fullName(name: string): string {
  const slash = name.indexOf('/');
  const first = name.slice(0, slash);
  if (slash !== -1 && (/[.:]/.test(first) || first === 'localhost')) return name;
  return slash === -1 ? `docker.io/library/${name}` : `docker.io/${name}`;
}
