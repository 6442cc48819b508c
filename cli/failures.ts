/** A command line nobody can obey: one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What was asked for cannot be done: one line that says what to do, exit code 1. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** Ctrl-C: nothing is said about it, exit code 130. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}
