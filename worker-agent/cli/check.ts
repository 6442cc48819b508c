/**
 * One thing that was looked at. `remedy` says how to mend it, and is null where nothing is wrong.
 */
export interface Check {
  readonly name: string;
  readonly found: string;
  readonly remedy: string | null;
  /** It works as it is, only not as well as it could. */
  readonly isWarning?: boolean;
}

export function levelOf(check: Check): "ok" | "warning" | "failure" {
  if (check.remedy === null) return "ok";
  return check.isWarning === true ? "warning" : "failure";
}

export function inMebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
