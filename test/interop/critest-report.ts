/** What became of the specs of one run, by their names. */
export interface CritestReport {
  readonly passed: readonly string[];
  /** Those that ginkgo left out, by the words it was told to skip. */
  readonly leftOut: readonly string[];
  /** Those that ran and skipped themselves, each with what it said: ginkgo counts them as no failures. */
  readonly skippedThemselves: readonly string[];
}

interface Spec {
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly State: string;
  readonly Failure?: { readonly Message?: string };
}

/** Reads the JSON report of ginkgo 2. */
export function critestReport(text: string): CritestReport {
  const suites = JSON.parse(text) as readonly { readonly SpecReports: readonly Spec[] }[];
  const specs = suites.flatMap(({ SpecReports }) => SpecReports).filter(({ LeafNodeType }) => LeafNodeType === 'It');
  const withState = (state: string): Spec[] => specs.filter(({ State }) => State === state);
  const skipped = withState('skipped');
  return {
    passed: withState('passed').map(nameOf),
    leftOut: skipped.filter(({ Failure }) => Failure?.Message === undefined).map(nameOf),
    skippedThemselves: skipped.flatMap((spec) =>
      spec.Failure?.Message === undefined ? [] : [`${nameOf(spec)}: ${spec.Failure.Message}`],
    ),
  };
}

function nameOf({ ContainerHierarchyTexts, LeafNodeText }: Spec): string {
  return [...(ContainerHierarchyTexts ?? []), LeafNodeText].join(' ');
}
