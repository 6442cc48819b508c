import { z } from "zod";
import { jsonOrNull } from "../../shared/json-or-null.ts";
import { CommandError } from "../failures.ts";
import { plainLine } from "../screen/plain-text.ts";

/** OpenAI's shape, as far as it is needed here: an edge may be newer and say more. */
const errorBodySchema = z.object({
  error: z.object({ message: z.string(), code: z.string().nullish() }),
});

/** The edge has answered, and the answer is no. */
export class EdgeError extends CommandError {
  override readonly name = "EdgeError" as "CommandError";
  /** One of the codes of shared/errors.ts, or what a newer edge says. */
  readonly code: string;
  readonly status: number;
  /** After how long the edge wants to be asked again; null where it does not say. */
  readonly retryAfterMs: number | null;

  constructor(code: string, status: number, message: string, retryAfter: string | null = null) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfterMs = isSeconds(retryAfter) ? Number(retryAfter) * 1_000 : null;
  }
}

/** What mends it, where that is not in the edge's own sentence. */
const remedies: Readonly<Record<string, string>> = {
  invalid_api_key: "octo login stores another key",
  insufficient_quota: "octo balance tells what is left",
  insufficient_scope: "use a key with more scopes, or sign in to an account that lets you",
};

/** Where a session or a limit is in the way, more scopes do not help: the edge says what does. */
function remedyOf(code: string, message: string): string | undefined {
  const isOfScopes = message.startsWith("This needs the permission");
  return code === "insufficient_scope" && !isOfScopes ? undefined : remedies[code];
}

/** What the edge said in a sentence, with its request id where it is at fault itself. */
export function edgeErrorOf(response: Response, text: string): EdgeError {
  const { status, headers } = response;
  const body = errorBodySchema.safeParse(jsonOrNull(text));
  if (!body.success) return new EdgeError("unknown", status, strangeAnswer(response, text));
  const { message, code } = body.data.error;
  const notes = [
    remedyOf(code ?? "", message),
    status === 429 || status === 503 ? laterNote(headers.get("retry-after")) : undefined,
    status >= 500 ? requestNote(headers.get("x-request-id")) : undefined,
  ].filter((note) => note !== undefined);
  const said = plainLine(message, 2_000).replace(/\.$/, "");
  const all = [said, ...notes].join("; ");
  return new EdgeError(code ?? "unknown", status, all, headers.get("retry-after"));
}

function laterNote(after: string | null): string {
  return isSeconds(after) ? `try again in ${after} s` : "try again later";
}

function isSeconds(after: string | null): after is string {
  return after !== null && /^\d{1,6}$/.test(after);
}

function requestNote(id: string | null): string | undefined {
  return id === null ? undefined : `its request was ${plainLine(id, 64)}`;
}

/** An answer that no edge gives: something else listens there, or stands in between. */
function strangeAnswer({ status, headers, url }: Response, text: string): string {
  const location = headers.get("location");
  if (status >= 300 && status < 400 && location !== null) {
    const place = plainLine(location, 200);
    return `${url} sends elsewhere, to ${place}; use that as --url if it is yours`;
  }
  const type = headers.get("content-type")?.split(";")[0] ?? "no type";
  const isShown = type !== "text/html" && text.trim() !== "";
  const start = isShown ? `: ${plainLine(text, 120)}` : "";
  const what = `${status}, ${plainLine(type, 60)}`;
  return `${url} does not answer as an edge does (${what})${start}; check the URL`;
}
