/**
 * A value that cannot be used. The message names its source and the accepted form; the start ends
 * with code 2.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}
