import { afterAll, beforeAll, expect, it } from 'vitest';
import { ApiWorld } from '../support/api-world.ts';
import { runChild } from '../support/child.ts';
import { requirePeer } from '../support/find-peer.ts';
import { Kubectl } from '../support/kubectl.ts';
import { describeWithPeer } from '../support/peer.ts';

const manifest = (name: string, more: object = {}): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { suite: 'objects' } },
    spec: { containers: [{ name: 'c', image: 'i' }], ...more },
  });

/** What both kubectls do with objects, and what they print. */
for (const peer of ['kubectl', 'kubectl-1.20'] as const) {
  describeWithPeer(peer, `objects by a real ${peer}`, () => {
    const isOld = peer === 'kubectl-1.20';
    let world: ApiWorld;
    let kubectl: Kubectl;

    /** What it printed and how it ended. */
    async function outcomeOf(args: readonly string[], stdin = ''): Promise<string> {
      const { stdout, stderr, exitCode } = await kubectl.run(args, { stdin: Buffer.from(stdin) });
      return `${stdout.toString()}${stderr.toString()}exit ${exitCode}`;
    }

    beforeAll(async () => {
      world = await ApiWorld.start();
      const pair = await world.issue({ commonName: 'ann', organizations: ['system:masters'] });
      const kubeconfig = world.kubeconfig('ann', { pair });
      kubectl = await Kubectl.create({ kubeconfig, program: requirePeer(peer) });
    });

    afterAll(async () => {
      kubectl[Symbol.dispose]();
      await world[Symbol.asyncDispose]();
    });

    it('explains every kind and any field', async () => {
      for (const kind of ['pod', 'node', 'namespace', 'event', 'serviceaccount', 'lease']) {
        expect(await kubectl.must('explain', kind)).toMatch(
          /KIND: +\w+\nVERSION: +(coordination.k8s.io\/)?v1\n[^]*metadata\t<Object/,
        );
      }
      expect(await kubectl.must('explain', 'pod.spec.containers')).toMatch(/image\t<string>[^]*volumeMounts\t<\[\]/);
      expect(await kubectl.must('explain', 'pod.spec.restartPolicy')).toMatch(
        /Always \(the default\),\s+OnFailure or Never/,
      );
      expect(await kubectl.must('explain', 'pods', '--recursive')).toContain('fieldPath');
      expect(await outcomeOf(['explain', 'pod.spec.nope'])).toMatch(/error: field "nope" does not exist\nexit 1$/);
    });

    it('creates, applies, shows differences and replaces', async () => {
      expect(await outcomeOf(['create', '-f', '-'], manifest('made'))).toBe('pod/made created\nexit 0');
      expect(await outcomeOf(['create', '-f', '-'], manifest('made'))).toMatch(
        /^Error from server \(AlreadyExists\): error when creating "STDIN": pods "made" already exists\nexit 1$/,
      );
      expect(await outcomeOf(['apply', '-f', '-'], manifest('applied'))).toBe('pod/applied created\nexit 0');
      expect(await outcomeOf(['apply', '-f', '-'], manifest('applied'))).toBe('pod/applied unchanged\nexit 0');
      expect(await outcomeOf(['diff', '-f', '-'], manifest('applied'))).toBe('exit 0');
      const changed = manifest('applied', { activeDeadlineSeconds: 9 });
      expect(await outcomeOf(['diff', '-f', '-'], changed)).toMatch(/\n\+ {2}activeDeadlineSeconds: 9\n[^]*exit [12]$/);
      expect(await outcomeOf(['apply', '-f', '-'], changed)).toBe('pod/applied configured\nexit 0');
      expect(await outcomeOf(['apply', '--dry-run=server', '-f', '-'], manifest('dry'))).toBe(
        'pod/dry created (server dry run)\nexit 0',
      );
      expect(await outcomeOf(['get', 'pod', 'dry'])).toBe('Error from server (NotFound): pods "dry" not found\nexit 1');
      const shown = await kubectl.must('get', 'pod', 'made', '-o', 'json');
      expect(await outcomeOf(['replace', '-f', '-'], shown)).toBe('pod/made replaced\nexit 0');
      expect(await outcomeOf(['replace', '--force', '-f', '-'], manifest('made'))).toBe(
        `pod "made" deleted\npod/made replaced\nexit 0`,
      );
    });

    it('is told of fields that are not there, as it asks', async () => {
      const bad = manifest('bad', { foo: 1, containers: [{ name: 'c', image: 'i', imag: 'x' }] });
      const warnings = 'Warning: unknown field "spec.containers[0].imag"\nWarning: unknown field "spec.foo"\n';
      if (isOld) {
        // It validates by itself, with the schema that the server gives it.
        expect(await outcomeOf(['create', '-f', '-'], bad)).toMatch(
          /ValidationError\(Pod.spec.containers\[0\]\): unknown field "imag" in io.k8s.api.core.v1.Container/,
        );
        // It names no wish, and the server's default is to warn.
        expect(await outcomeOf(['create', '--validate=false', '-f', '-'], bad)).toBe(
          `pod/bad created\n${warnings}exit 0`,
        );
      } else {
        expect(await outcomeOf(['create', '-f', '-'], bad)).toBe(
          'Error from server (BadRequest): error when creating "STDIN": Pod in version "v1" cannot be handled as a Pod: ' +
            'strict decoding error: unknown field "spec.containers[0].imag", unknown field "spec.foo"\nexit 1',
        );
        expect(await outcomeOf(['create', '--validate=warn', '-f', '-'], bad)).toBe(
          `pod/bad created\n${warnings}exit 0`,
        );
        expect(
          await outcomeOf(['create', '--validate=ignore', '--dry-run=server', '-f', '-'], manifest('bad2', { foo: 1 })),
        ).toBe('pod/bad2 created (server dry run)\nexit 0');
      }
      expect(await kubectl.must('get', 'pod', 'bad', '-o', 'jsonpath={.spec.foo}{.spec.containers[0].imag}')).toBe('');
    });

    it('is told what is wrong with an object, in upstream’s words', async () => {
      const typed = manifest('typed', { hostNetwork: 'yes' });
      expect(await outcomeOf(['create', '--validate=false', '-f', '-'], typed)).toBe(
        'Error from server (BadRequest): error when creating "STDIN": Pod in version "v1" cannot be handled as a Pod: ' +
          'json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool\nexit 1',
      );
      expect(await outcomeOf(['run', 'Bad_Name', '--image=x'])).toContain(
        `* metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'`,
      );
      const patched = ['patch', 'pod', 'made', '-p'];
      expect(await outcomeOf([...patched, '{"spec":{"hostPID":true}}'])).toContain(
        'The Pod "made" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`',
      );
      expect(await outcomeOf([...patched, '{"metadata":{"labels":{"a b":"x"}}}'])).toContain(
        'The Pod "made" is invalid: metadata.labels: Invalid value: "a b": name part must consist of alphanumeric characters',
      );
      expect(
        await outcomeOf([...patched, '[{"op":"test","path":"/metadata/name","value":"x"}]', '--type=json']),
      ).toMatch(/is invalid: .*the JSON patch's test of "\/metadata\/name" failed\nexit 1$/);
    });

    it('is told in upstream’s words that a kind is not there', async () => {
      const kinds = [
        ['v1', 'Podd'],
        ['v1', 'ConfigMap'],
        ['apps/v1', 'Deployment'],
      ] as const;
      for (const [apiVersion, kind] of kinds) {
        const sent = JSON.stringify({ apiVersion, kind, metadata: { name: 'x' } });
        const none = `no matches for kind "${kind}" in version "${apiVersion}"`;
        const words = isOld
          ? `error: unable to recognize "STDIN": ${none}\nexit 1`
          : `error: resource mapping not found for name: "x" namespace: "" from "STDIN": ${none}\n` +
            'ensure CRDs are installed first\nexit 1';
        expect(await outcomeOf(['create', '-f', '-'], sent)).toBe(words);
        expect(await outcomeOf(['apply', '--dry-run=server', '-f', '-'], sent)).toBe(words);
      }
    });

    it('creates and deletes what a list of pods holds', async () => {
      const list = {
        apiVersion: 'v1',
        kind: 'PodList',
        items: ['first', 'second'].map((name) => JSON.parse(manifest(name))),
      };
      const sent = JSON.stringify(list);
      expect(await outcomeOf(['create', '-f', '-'], sent)).toBe('pod/first created\npod/second created\nexit 0');
      expect(await outcomeOf(['delete', '-f', '-'], sent)).toBe('pod "first" deleted\npod "second" deleted\nexit 0');
    });

    it('edits, labels, annotates and deletes', async () => {
      const { argv, env } = kubectl.commandLine('edit', 'pod', 'made');
      const [program = '', ...args] = argv;
      const edit = await runChild(program, args, {
        env: { ...env, EDITOR: "sed -i 's/suite: objects/suite: edited/'" },
      });
      expect(edit.stdout.toString()).toBe('pod/made edited\n');
      expect(await outcomeOf(['label', 'pod', 'made', 'a=1'])).toBe('pod/made labeled\nexit 0');
      expect(await outcomeOf(['label', 'pod', 'made', 'a=2'])).toContain(
        "'a' already has a value (1), and --overwrite is false",
      );
      expect(await outcomeOf(['label', 'pod', 'made', 'a=2', '--overwrite'])).toBe('pod/made labeled\nexit 0');
      expect(await outcomeOf(['annotate', 'pod', 'made', 'n=1'])).toBe('pod/made annotated\nexit 0');
      expect(await outcomeOf(['delete', 'pods', '-l', 'suite'])).toMatch(/^(pod "\w+" deleted\n)+exit 0$/);
      expect(await outcomeOf(['delete', 'pods', '--all'])).toBe('No resources found\nexit 0');
    });
  });
}
