import { ageOf, type Event } from '../../kubeapi/index.ts';
import type { Description } from './description.ts';

/** What newer events have in place of `count`. */
interface Series {
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string | null };
}

/** The events of an object, the oldest first. */
export function describeEvents(text: Description, events: readonly Event[]): void {
  if (events.length === 0) {
    text.line(0, 'Events:', '<none>');
    return;
  }
  const now = new Date();
  text.line(0, 'Events:');
  text.line(1, 'Type', 'Reason', 'Age', 'From', 'Message');
  text.line(1, '----', '------', '----', '----', '-------');
  const at = ({ lastTimestamp }: Event): number => Date.parse(lastTimestamp ?? '') || 0;
  for (const event of [...events].sort((one, other) => at(one) - at(other))) {
    text.line(
      1,
      event.type ?? '',
      event.reason ?? '',
      interval(event, now),
      event.source?.component || (event.reportingComponent ?? ''),
      (event.message ?? '').trim(),
    );
  }
}

function interval(event: Event & Series, now: Date): string {
  const first = ageOf(event.eventTime ?? event.firstTimestamp, now);
  const { series, count = 0, lastTimestamp } = event;
  if (series !== undefined) return `${ageOf(series.lastObservedTime, now)} (x${series.count ?? 0} over ${first})`;
  return count > 1 ? `${ageOf(lastTimestamp, now)} (x${count} over ${first})` : first;
}
