/**
 * What a boundary does with a code: the HTTP status, OpenAI's `error.type`, and whether trying
 * again can help.
 */
export interface ErrorRule {
  readonly status: number;
  readonly type: string;
  readonly retry: "never" | "later";
}

const invalid = { type: "invalid_request_error", retry: "never" } as const;

/** Every code we answer with. A code that is not here cannot be thrown. */
export const errorRules = {
  invalid_json: { status: 400, ...invalid },
  invalid_request: { status: 400, ...invalid },
  unsupported_parameter: { status: 400, ...invalid },
  context_length_exceeded: { status: 400, ...invalid },
  invalid_api_key: { status: 401, type: "authentication_error", retry: "never" },
  insufficient_quota: { status: 402, type: "insufficient_quota", retry: "never" },
  insufficient_scope: { status: 403, type: "permission_error", retry: "never" },
  not_found: { status: 404, ...invalid },
  model_not_found: { status: 404, ...invalid },
  method_not_allowed: { status: 405, ...invalid },
  conflict: { status: 409, ...invalid },
  idempotency_conflict: { status: 409, ...invalid },
  body_too_large: { status: 413, ...invalid },
  upgrade_required: { status: 426, ...invalid },
  rate_limit_exceeded: { status: 429, type: "rate_limit_error", retry: "later" },
  client_closed: { status: 499, ...invalid },
  internal: { status: 500, type: "server_error", retry: "later" },
  worker_failed: { status: 502, type: "server_error", retry: "later" },
  no_capacity: { status: 429, type: "rate_limit_error", retry: "later" },
  unavailable: { status: 503, type: "server_error", retry: "later" },
  timeout: { status: 504, type: "server_error", retry: "later" },
} as const satisfies Record<string, ErrorRule>;

export type ErrorCode = keyof typeof errorRules;

export interface OctoErrorOptions {
  readonly cause?: unknown;
  /** The request field at fault, as OpenAI's `error.param`. */
  readonly param?: string;
  /** Seconds a caller should wait, for codes whose rule says `later`. */
  readonly retryAfterS?: number;
  /** Headers that an HTTP answer has besides. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A failure that crosses a boundary. Its message is written for the caller and may leave the
 * process.
 */
export class OctoError extends Error {
  override readonly name = "OctoError";
  readonly code: ErrorCode;
  readonly param: string | null;
  readonly retryAfterS: number | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, options: OctoErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.param = options.param ?? null;
    this.retryAfterS = options.retryAfterS ?? null;
    this.headers = options.headers ?? {};
  }
}
