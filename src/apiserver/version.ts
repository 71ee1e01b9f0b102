/**
 * What `GET /version` says: the Kubernetes release whose behaviour podwire follows, with podwire's mark behind it.
 * All values are strings.
 */
export const VERSION = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.0+podwire',
  gitCommit: '',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: 'node',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
} as const;
