/**
 * Text of a peer that may go to a terminal: nothing in it moves the cursor. Escapes are shown as kubectl shows them.
 *
 * @returns newlines and tabs stay
 */
export function terminalText(text: string): string {
  return text
    .replaceAll('\u001b', '^[')
    .replaceAll('\r', '\\r')
    .replace(/(?![\n\t])\p{Cc}/gu, ' ');
}
