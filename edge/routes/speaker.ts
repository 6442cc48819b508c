import type { Caller } from "../context.ts";

/** Who speaks, for the record: a key's id, or a person's. */
export function speakerOf({ keyId, personId }: Caller): string {
  return keyId ?? personId ?? "";
}
