/**
 * A broken belief is a bug of ours: only the outermost boundary catches it and answers `internal`.
 */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws `AssertionError` unless `condition` holds. `believed` says what was taken for granted. */
export function assert(condition: unknown, believed: string): asserts condition {
  if (!condition) throw new AssertionError(`Believed: ${believed}`);
}

/** For a `switch` over a closed union: compiles only while every case is handled. */
export function assertNever(value: never): never {
  throw new AssertionError(`Believed: no case is left, yet met ${JSON.stringify(value)}`);
}
