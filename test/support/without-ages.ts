/** What a command prints, but for ages and the spaces behind them: two commands never run in the same moment. */
export function withoutAges(text: string): string {
  return text.replace(/(?<=[ (])(?:\d+[dhms]){1,2}(?=[ )\n])/g, 'AGE').replace(/ +/g, ' ');
}
