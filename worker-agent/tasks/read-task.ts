import { chatRequestSchema } from "../../shared/openai/chat-request.ts";
import { completionRequestSchema } from "../../shared/openai/completion-request.ts";
import type { EngineTask } from "../engine/engine.ts";

/** The consumer's request behind JSON text, or null where it is not one of its kind. */
export function readTask(kind: EngineTask["kind"], body: string): EngineTask | null {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    // The only failure of JSON.parse on a string is that the string is not JSON.
    return null;
  }
  switch (kind) {
    case "chat": {
      const parsed = chatRequestSchema.safeParse(value);
      return parsed.success ? { kind, request: parsed.data } : null;
    }
    case "completion": {
      const parsed = completionRequestSchema.safeParse(value);
      return parsed.success ? { kind, request: parsed.data } : null;
    }
  }
}
