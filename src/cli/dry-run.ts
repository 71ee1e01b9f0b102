/** What follows a message about something that was not done, by the value of `--dry-run`; kubectl's words. */
export const dryRunNote = { none: '', client: ' (dry run)', server: ' (server dry run)' } as const;
