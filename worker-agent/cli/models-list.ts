import type { StoredModel } from "../models/store.ts";
import type { ModelsWorld } from "./models.ts";
import { bytesInWords } from "./progress-bar.ts";

/** Shows what is kept, and which names have the same files. */
export async function listModels({ store, terminal, config }: ModelsWorld): Promise<number> {
  const models = await store.list();
  if (config.json) {
    terminal.write(JSON.stringify({ models: models.map(storedInJson) }));
    return 0;
  }
  if (models.length === 0) {
    terminal.write("No models are kept; add one with octo-worker models add SOURCE");
    return 0;
  }
  const rows = [columns, ...models.map(rowOf)];
  const widths = columns.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  for (const [at, row] of rows.entries()) {
    const line = row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
    terminal.write(at === 0 ? terminal.paint("bold", line.trimEnd()) : line.trimEnd());
  }
  return 0;
}

const columns = ["NAME", "QUANT", "SIZE", "CONTEXT", "SHA-256", "USED", "SIGNED BY"];

function rowOf(model: StoredModel): string[] {
  const used = model.last_used_ms;
  return [
    model.name,
    model.quantization,
    bytesInWords(sizeOf(model)),
    String(model.context_tokens),
    model.digest.slice(0, 12),
    used === null ? "never" : new Date(used).toISOString().slice(0, 10),
    model.creator ?? "-",
  ];
}

function sizeOf({ files }: StoredModel): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** A kept model for programs. */
export function storedInJson(model: StoredModel): Record<string, unknown> {
  const { v: _version, files, ...rest } = model;
  return { ...rest, bytes: sizeOf(model), files };
}
