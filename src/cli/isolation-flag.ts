import { choiceFlag } from './flag.ts';

/** Whether containers get walls; the same for every command that starts a runtime. */
export const isolationFlag = choiceFlag(['auto', 'on', 'off'], {
  help: 'whether containers of imported images get walls: auto where they can be had (as root, or for images in a user namespace), on or not at all, off',
});

/** As the runtime takes it. */
export function isolationOf(value: 'auto' | 'on' | 'off'): boolean | 'auto' {
  return value === 'auto' ? 'auto' : value === 'on';
}
