import { describe, expect, it } from 'vitest';
import type { PodSpec } from '../kubeapi/index.ts';
import { sysctlsOf } from './pod-sysctls.ts';

function sysctlsWith(names: readonly string[], spec: Partial<PodSpec> = {}): unknown {
  const sysctls = names.map((name) => ({ name, value: '1' }));
  return sysctlsOf({ metadata: { name: 'web' }, spec: { containers: [], securityContext: { sysctls }, ...spec } });
}

// Facts: kubernetes pkg/kubelet/sysctl
describe('the kernel’s settings of a pod', () => {
  it('are those that no other pod feels, with dots or slashes', () => {
    expect(sysctlsWith(['net.ipv4.tcp_syncookies', 'kernel/shm_rmid_forced'])).toEqual({
      'net.ipv4.tcp_syncookies': '1',
      'kernel.shm_rmid_forced': '1',
    });
    expect(sysctlsWith([])).toEqual({});
  });

  it.each<[string, Partial<PodSpec>, string]>([
    ['kernel.msgmax', {}, 'forbidden sysctl: "kernel.msgmax" not allowlisted'],
    ['constructor', {}, 'forbidden sysctl: "constructor" not allowlisted'],
    ['net/ipv4/conf/eth0.1/rp_filter', {}, 'forbidden sysctl: "net.ipv4.conf.eth0/1.rp_filter" not allowlisted'],
    [
      'net.ipv4.tcp_syncookies',
      { hostNetwork: true },
      'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host Net enabled',
    ],
    [
      'kernel.shm_rmid_forced',
      { hostIPC: true },
      'forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host IPC enabled',
    ],
  ])('are not %s of a pod with %o', (name, spec, refusal) => {
    expect(() => sysctlsWith([name], spec)).toThrow(refusal);
  });
});
