import { measureAuthentication } from "../authentication.ts";
import type { Figure } from "../figure.ts";

/** What knowing the caller and keeping the books costs. */
export async function ledger(progress: (line: string) => void): Promise<readonly Figure[]> {
  progress("authenticating by keys that are known …");
  return measureAuthentication();
}
