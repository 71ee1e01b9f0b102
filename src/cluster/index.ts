import type { Cluster, ClusterOptions } from './up.ts';

export { CertificateFolder, type ListedCertificate } from './certificate-folder.ts';
export { DEMO_POD, NODE_NAME } from './names.ts';
export type { Cluster, ClusterOptions } from './up.ts';

/** As `startCluster` of `up.ts`; the hops are loaded when they are started. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { startCluster: start } = await import('./up.ts');
  return await start(options);
}
