export { Confinement } from './confinement.ts';
export { dismantle, Isolation, isolationObstacle } from './isolation.ts';
export { Pod } from './pod.ts';
