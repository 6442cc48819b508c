import { EngineError } from "./engine.ts";

/** Refuses what this model cannot do, say `make embeddings`. */
export function cannot(what: string): EngineError {
  return new EngineError("invalid_request", `Cannot ${what}: this model does not do that`);
}
