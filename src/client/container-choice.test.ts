import { expect, it } from 'vitest';
import { podOf } from '../../test/support/exec-server.ts';
import { failureOf } from '../../test/support/failure.ts';
import { chooseContainer, type ExecPathError } from './index.ts';

function refusal(names: readonly string[], named: string, phase: string): Promise<ExecPathError> {
  return failureOf(Promise.resolve().then(() => chooseContainer(podOf(names, {}, phase), named)));
}

const DEFAULT = 'kubectl.kubernetes.io/default-container';

it('takes the only container without a word', () => {
  expect(chooseContainer(podOf(['main']))).toEqual({ container: 'main', notice: undefined });
});

it('takes the first of several and says so in the words of kubectl', () => {
  const { spec, ...pod } = podOf(['a', 'b']);
  const more = {
    ...spec,
    initContainers: [{ name: 'd', image: 'i' }],
    ephemeralContainers: [{ name: 'c', image: 'i' }],
  };
  expect(chooseContainer({ ...pod, spec: more })).toEqual({
    container: 'a',
    notice: 'Defaulted container "a" out of: a, b, c (ephem), d (init)',
  });
});

it('takes the one of the annotation, unless it does not exist', () => {
  expect(chooseContainer(podOf(['a', 'b'], { annotations: { [DEFAULT]: 'b' } }))).toEqual({
    container: 'b',
    notice: undefined,
  });
  expect(chooseContainer(podOf(['a', 'b'], { annotations: { [DEFAULT]: 'x' } })).container).toBe('a');
});

it('takes the named one, whatever the annotation says', () => {
  expect(chooseContainer(podOf(['a', 'b'], { annotations: { [DEFAULT]: 'b' } }), 'a').container).toBe('a');
});

it('refuses a container that the pod does not have', async () => {
  const error = await refusal(['a', 'b'], 'c', 'Running');
  expect(error).toMatchObject({
    code: 'ERR_BAD_REQUEST',
    message: 'container c is not valid for pod web: it has a, b',
  });
});

it.each(['Succeeded', 'Failed'])('refuses a pod that has ended: %s', async (phase) => {
  const error = await refusal(['a'], 'a', phase);
  expect(error).toMatchObject({
    message: `cannot exec into a container in a completed pod; current phase is ${phase}`,
  });
});
