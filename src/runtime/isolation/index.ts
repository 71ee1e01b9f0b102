export { Confinement } from './confinement.ts';
export type { ImageUser } from './image-user.ts';
export { dismantle, dropTools, Isolation, isolationObstacle, podDir, podFolders } from './isolation.ts';
export { Pod } from './pod.ts';
export { assertSysctls } from './sysctls.ts';
export { hasManyUsers, UserNamespace, userNamespaceObstacle } from './user-namespace.ts';
