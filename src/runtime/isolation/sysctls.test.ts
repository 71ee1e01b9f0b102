import { expect, it } from 'vitest';
import { assertSysctls } from './sysctls.ts';

const all = (): boolean => true;
const none = (): boolean => false;
const check = (name: string, owns: (kind: 'net' | 'ipc') => boolean) => (): void =>
  assertSysctls({ [name]: '1' }, owns);

it.each([
  ['net', 'net.ipv4.ip_unprivileged_port_start'],
  ['net', 'net.core.somaxconn'],
  ['ipc', 'kernel.shm_rmid_forced'],
  ['ipc', 'kernel.shmmax'],
  ['ipc', 'kernel.msgmax'],
  ['ipc', 'kernel.sem'],
  ['ipc', 'fs.mqueue.msg_max'],
])('allows a setting of the %s namespace only where the pod has its own: %s', (kind, name) => {
  expect(check(name, (asked) => asked === kind)).not.toThrow();
  const what = kind === 'net' ? 'network' : 'ipc';
  const rule = `sysctl "${name}" belongs to the ${what} namespace, and the pod has none of its own`;
  expect(check(name, (asked) => asked !== kind)).toThrow(rule);
  expect(check(name, none)).toThrow(rule);
});

it.each(['vm.swappiness', 'kernel.panic', 'kernel.hostname', 'kernel.semaphores', 'fs.file-max', 'kernel', 'net', ''])(
  'refuses a setting that belongs to no namespace: %s',
  (name) => {
    expect(check(name, all)).toThrow(`sysctl ${JSON.stringify(name)} belongs to no namespace of a pod`);
  },
);

it.each(['net/ipv4/ip_forward', 'net.../kernel/panic', 'net.ipv4.$(id)', 'net.a b'])(
  'refuses a name that is none: %s',
  (name) => {
    expect(check(name, all)).toThrow(`sysctl ${JSON.stringify(name)}`);
  },
);
