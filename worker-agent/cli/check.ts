/**
 * One thing that was looked at. `remedy` says how to mend it, and is null where nothing is wrong.
 */
export interface Check {
  readonly name: string;
  readonly found: string;
  readonly remedy: string | null;
}

export function inMebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
