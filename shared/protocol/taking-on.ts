/**
 * What an account's owner runs, once, so that a worker may earn for the account. Base64url may
 * begin with a hyphen, which no option does behind `--`.
 */
export function takeOnCommand(workerId: string): string {
  return `octo workers add ${workerId.startsWith("-") ? "-- " : ""}${workerId}`;
}

/**
 * Why a worker is not let in for the account it names; it fits a close frame. An account that does
 * not exist is told of in the same words: accounts are not there to be tried out.
 */
export function notTakenOn(workerId: string): string {
  return `the account has not taken this worker on; its owner runs: ${takeOnCommand(workerId)}`;
}
