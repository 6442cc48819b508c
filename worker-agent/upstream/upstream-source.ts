import type { Secret } from "./secret.ts";

/** A model of another server. */
export interface UpstreamSource {
  readonly kind: "upstream";
  /** The server's base address, without `/v1` and a slash at its end. */
  readonly url: string;
  /** The model's name there. */
  readonly model: string;
  readonly key: Secret | null;
}
