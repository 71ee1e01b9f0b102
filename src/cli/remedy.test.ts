import { expect, it } from 'vitest';
import { ExecPathError } from '../common/errors.ts';
import { type FailureContext, remedyFor } from './remedy.ts';

const missing = (message: string, context: FailureContext = {}): string | undefined =>
  remedyFor(new ExecPathError('ERR_NOT_FOUND', message), context);

const forbidden = (message: string, context: FailureContext = {}): string | undefined =>
  remedyFor(new ExecPathError('ERR_FORBIDDEN', message), context);

it('tells where to look for objects of the kind that was not found', () => {
  expect(missing('pods "web" not found')).toBe('look what there is: podwire get pods');
  expect(missing('pods "web" not found', { namespace: 'shop' })).toBe('look what there is: podwire get pods -n shop');
  expect(missing('nodes "n1" not found', { namespace: 'shop' })).toBe('look what there is: podwire get nodes');
  expect(missing('leases.coordination.k8s.io "n1" not found')).toBe('look what there is: podwire get leases');
  expect(missing('no running pod has the labels a=b', { namespace: 'shop' })).toBe(
    'look what there is: podwire get pods -n shop',
  );
  expect(missing('the server could not find the requested resource')).toBeUndefined();
});

it('sends nobody elsewhere for a container that does not run, or for a file that is not there', () => {
  const refused = new ExecPathError('ERR_UPGRADE_REFUSED', 'unable to upgrade connection: container not found ("c")');
  expect(remedyFor(refused, { namespace: 'shop', pod: 'web' })).toBe(
    'see why the container does not run: podwire describe pod web -n shop',
  );
  expect(remedyFor(new ExecPathError('ERR_UPGRADE_REFUSED', 'bad gateway'), { pod: 'web' })).toContain('proxy');
  const unread = 'nofile.tar cannot be read: ENOENT: no such file or directory';
  expect(remedyFor(new ExecPathError('ERR_IMAGE_ARCHIVE', unread), {})).toBeUndefined();
  expect(remedyFor(new ExecPathError('ERR_IMAGE_ARCHIVE', 'an archive ends too early'), {})).toContain('anew');
});

it('names the right that a caller lacks', () => {
  const why = (verb: string, resource: string, group = ''): string =>
    `it is forbidden: User "joe" cannot ${verb} resource "${resource}" in API group "${group}"`;
  expect(forbidden(`${why('list', 'nodes')} at the cluster scope`, { namespace: 'shop' })).toBe(
    'ask for the verb list on nodes; to see what is allowed: kubectl auth can-i list nodes',
  );
  expect(forbidden(`${why('create', 'pods/exec')} in the namespace "shop"`)).toBe(
    'ask for the verb create on pods/exec; to see what is allowed: kubectl auth can-i create pods/exec -n shop',
  );
  expect(forbidden(`${why('get', 'leases', 'coordination.k8s.io')} in the namespace "a"`)).toBe(
    'ask for the verb get on leases.coordination.k8s.io; to see what is allowed: kubectl auth can-i get leases.coordination.k8s.io -n a',
  );
  expect(forbidden('no', { pod: 'web' })).toContain('create pods/exec');
  expect(forbidden('origin "x" is not allowed')).toBeUndefined();
});
