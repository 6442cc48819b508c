import { DrizzleQueryError } from "drizzle-orm";
import { AssertionError } from "../../shared/assert.ts";
import { OctoError } from "../../shared/errors.ts";

/**
 * Drizzle wraps the driver's error, and a batch wraps its statement's: the code sits a few causes
 * down.
 */
const causesMax = 8;

/**
 * The driver's finest code for a failure, such as `SQLITE_CONSTRAINT_UNIQUE`; "" where there is
 * none.
 */
function codeOf(error: unknown): string {
  let cursor = error;
  for (let depth = 0; depth < causesMax && cursor instanceof Error; depth++) {
    if ("extendedCode" in cursor && typeof cursor.extendedCode === "string") {
      return cursor.extendedCode;
    }
    if ("code" in cursor && typeof cursor.code === "string") return cursor.code;
    cursor = cursor.cause;
  }
  return "";
}

/**
 * Whether another writer held the lock. Then nothing was committed, and the client that saw it is
 * poisoned.
 */
export function isBusy(error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error));
}

/**
 * What leaves this boundary: neither SQL nor a bound value is in its message or in that of any
 * cause.
 */
export function failureToError(action: string, failure: unknown): unknown {
  if (isOurBug(failure)) return failure;
  // Drizzle's own error spells out the statement with its values.
  const error = failure instanceof DrizzleQueryError ? failure.cause : failure;
  const code = codeOf(error);
  if (code.startsWith("SQLITE_CONSTRAINT")) {
    const kind = code.slice("SQLITE_CONSTRAINT".length + 1).toLowerCase() || "constraint";
    return new OctoError("conflict", `Cannot ${action}: a row breaks a ${kind} rule`, {
      cause: error,
    });
  }
  const reason = isBusy(error) ? "stayed busy" : `failed${code === "" ? "" : ` with ${code}`}`;
  return new OctoError("unavailable", `Cannot ${action}: the database ${reason}`, {
    cause: error,
    retryAfterS: 1,
  });
}

/** A value no column can hold is a bug of the caller, not an outage. */
function isOurBug(error: unknown): boolean {
  let cursor = error;
  for (let depth = 0; depth < causesMax && cursor instanceof Error; depth++) {
    if (cursor instanceof OctoError || cursor instanceof AssertionError) return true;
    if (cursor instanceof RangeError) return true;
    cursor = cursor.cause;
  }
  return false;
}
