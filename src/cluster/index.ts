export { CertificateFolder, type ListedCertificate } from './certificate-folder.ts';
export { DEMO_POD } from './demo-pod.ts';
export { type Cluster, type ClusterOptions, NODE_NAME, startCluster } from './up.ts';
