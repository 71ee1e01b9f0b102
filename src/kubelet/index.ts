export { type KubeletOptions, type RunningKubelet, startKubelet } from './main.ts';
