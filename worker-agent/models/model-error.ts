export type ModelErrorCode =
  | "bad_source"
  | "bad_file"
  | "does_not_fit"
  | "download_failed"
  /** An optional package that the model needs is not installed. */
  | "missing_package";

/** Why a model cannot be served: the message is one sentence for the provider. */
export class ModelError extends Error {
  override readonly name = "ModelError";
  readonly code: ModelErrorCode;

  constructor(code: ModelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
