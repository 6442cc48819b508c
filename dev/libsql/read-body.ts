import type { z } from "zod";
import { StreamRefused } from "./streams.ts";

/**
 * The JSON body of a request by its schema; refused whole, before anything of it is done, where it
 * is not that.
 */
export async function readBody<T>(
  request: Request,
  schema: z.ZodType<T>,
  bytesMax: number,
): Promise<T> {
  const text = await readText(request, bytesMax);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new StreamRefused(400, "HTTP_BODY_INVALID", "the body is not JSON");
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const path = parsed.error.issues[0]?.path.join(".") ?? "";
  throw new StreamRefused(400, "HTTP_BODY_INVALID", `the body is no Hrana request: see ${path}`);
}

async function readText(request: Request, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) {
      throw new StreamRefused(413, "HTTP_BODY_TOO_LARGE", `the body exceeds ${bytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
