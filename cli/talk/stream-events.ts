import { z } from "zod";
import { jsonOrNull } from "../../shared/json-or-null.ts";
import { SseError, SseReader } from "../../shared/sse.ts";
import { CommandError } from "../failures.ts";
import { EdgeError } from "../http/edge-error.ts";
import { plainLine } from "../screen/plain-text.ts";

const usageSchema = z.looseObject({ prompt_tokens: z.int(), completion_tokens: z.int() });
export type AnswerUsage = z.infer<typeof usageSchema>;

const chunkSchema = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        delta: z
          .looseObject({
            content: z.string().nullish(),
            reasoning_content: z.string().nullish(),
          })
          .optional(),
        finish_reason: z.string().nullish(),
      }),
    )
    .default([]),
  usage: usageSchema.nullish(),
  error: z.looseObject({ message: z.string(), code: z.string().nullish() }).nullish(),
});
export type AnswerChunk = z.infer<typeof chunkSchema>;

/** The connection ended in the middle of an answer, without a word: it can be taken up again. */
export class BrokenStream extends Error {
  override readonly name = "BrokenStream";
}

/**
 * The chunks of an answer up to its end; `seen` hears the id of each event that was given. An
 * answer that the edge broke off throws its EdgeError, a connection that is lost BrokenStream.
 */
export async function* answerChunks(
  body: ReadableStream<Uint8Array>,
  of: { readonly seen: (eventId: string) => void; readonly alive: () => void },
): AsyncGenerator<AnswerChunk, void, void> {
  const reader = new SseReader();
  try {
    for await (const piece of body) {
      of.alive();
      for (const { data } of reader.push(piece)) {
        if (data === "[DONE]") return;
        yield chunkOf(data);
      }
      if (reader.lastEventId !== "") of.seen(reader.lastEventId);
    }
  } catch (error) {
    if (error instanceof CommandError) throw error;
    if (error instanceof SseError) {
      throw new CommandError(`The edge's stream cannot be read: ${error.message}`, {
        cause: error,
      });
    }
    throw new BrokenStream("the connection was lost", { cause: error });
  }
  throw new BrokenStream("the stream ended before the answer did");
}

function chunkOf(data: string): AnswerChunk {
  const chunk = chunkSchema.safeParse(jsonOrNull(data));
  if (!chunk.success) throw new CommandError("The edge's stream cannot be read: update octo");
  const { error, choices } = chunk.data;
  const isBroken = choices.some(({ finish_reason: reason }) => reason === "error");
  if ((error ?? null) === null && !isBroken) return chunk.data;
  const said = plainLine(error?.message ?? "the edge gives no reason", 2_000);
  throw new EdgeError(error?.code ?? "unknown", 200, `The answer broke off: ${said}`);
}
