import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithPeer } from '../support/peer.ts';
import { refusalOf, TwinApiservers } from './twin-apiservers.ts';

describeWithPeer(['kube-apiserver', 'etcd'], 'queries, to our apiserver and to a kube-apiserver', () => {
  let twins: TwinApiservers;
  beforeAll(async () => {
    twins = await TwinApiservers.start();
  });
  afterAll(async () => {
    await twins?.[Symbol.asyncDispose]();
  });

  it.each([
    'limit=x',
    'limit=-1',
    'limit=1.5',
    'limit=9223372036854775807',
    'limit=9223372036854775808',
    'timeoutSeconds=x',
    'timeoutSeconds=-1',
    'timeoutSeconds=9223372036854775807',
    'sendInitialEvents=true',
    'sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=0',
    'resourceVersionMatch=Exact',
    'resourceVersionMatch=Nearly',
    'resourceVersionMatch=Nearly&resourceVersion=1&continue=x',
    'resourceVersionMatch=Exact&resourceVersion=0',
    'labelSelector=a%20b',
    'labelSelector=a%20in',
    'labelSelector=a%3Db%3Dc',
    'labelSelector=-a%3Db',
    'labelSelector=a%3D-b',
    'labelSelector=a%20in%20()',
    'labelSelector=a%20in%20b',
    'labelSelector=a%20in%20(b',
    'labelSelector=a%20in%20(b%20c)',
    'labelSelector=a%20in%20(b,',
    'labelSelector=a%20in%20(%3D)',
    'labelSelector=a%20in%20(b,%3D)',
    'labelSelector=a%20in%20(c,-b)',
    'labelSelector=a%20notin%20(b,,c)',
    'labelSelector=a%20notin%20(,)',
    'labelSelector=a!b',
    'labelSelector=!a%20b',
    'labelSelector=!!a',
    'labelSelector=a,,b',
    'labelSelector=,a',
    'labelSelector=a%3Db,',
    'labelSelector=(a)',
    'labelSelector=a%3D%3D%3Db',
    'labelSelector=a%3E1.5',
    'labelSelector=a%3E99999999999999999999',
    'labelSelector=a%3C',
    'labelSelector=a%20exists',
    'labelSelector=%26',
    'labelSelector=x%2Fy%2Fz',
    'labelSelector=a%3Dxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
    'labelSelector=in',
    'labelSelector=a%20in%20(in)',
    'labelSelector=%20',
    'labelSelector=a%3Db,%20!c,d%20in%20(e)',
    'fieldSelector=a',
    'fieldSelector=spec.foo%3D1',
    'watch=1&timeoutSeconds=x',
    'watch=1&timeoutSeconds=1&sendInitialEvents=true',
    'watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=Exact',
    'watch=1&timeoutSeconds=1&resourceVersionMatch=NotOlderThan',
    'watch=1&timeoutSeconds=1&resourceVersionMatch=Exact',
    'watch=1&timeoutSeconds=1&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&continue=x',
    'watch=1&timeoutSeconds=1&labelSelector=a%20b',
    'watch=1&timeoutSeconds=1&fieldSelector=spec.foo%3D1',
    'watch=1&timeoutSeconds=1&resourceVersion=1&limit=x',
  ])('GET pods?%s', async (query) => {
    const { real, ours } = await twins.both(`/api/v1/namespaces/default/pods?${query}`);
    expect([ours.status, refusalOf(ours)]).toEqual([real.status, refusalOf(real)]);
  });
});
