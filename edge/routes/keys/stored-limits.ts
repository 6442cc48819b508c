import { assert } from "../../../shared/assert.ts";
import { type Limits, limitsSchema } from "../../../shared/limits.ts";

/**
 * Limits as a row of the registry has them. What has lost its form is not taken for none: nobody
 * may spend without end because of it.
 */
export function storedLimits(stored: unknown): Limits | null {
  if (stored === null) return null;
  const parsed = limitsSchema.safeParse(stored);
  assert(parsed.success, "limits in the registry have the form in which they were set");
  return parsed.data;
}
