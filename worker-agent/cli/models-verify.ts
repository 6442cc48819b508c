import { verifyModel } from "../models/verify-model.ts";
import type { ModelsWorld } from "./models.ts";

/** Reads the files of all models, or of one, again. Gives 1 where one is not what it was. */
export async function verifyModels(world: ModelsWorld, name: string | null): Promise<number> {
  const { store, terminal, config, signal, bar } = world;
  const all = await store.list();
  const models = name === null ? all : all.filter((model) => model.name === name);
  if (name !== null && models.length === 0) {
    terminal.error(`Cannot verify ${name}: no model is kept under it; see octo-worker models list`);
    return 1;
  }
  const checked: { name: string; ok: boolean; faults: readonly string[] }[] = [];
  for (const model of models) {
    const onProgress = (receivedBytes: number, totalBytes: number) => {
      const progress = { receivedBytes, totalBytes, bytesPerSecond: 0, secondsLeft: null };
      bar?.draw(model.name, progress);
    };
    const faults = await verifyModel(store, model, { signal, onProgress });
    bar?.clear();
    checked.push({ name: model.name, ok: faults.length === 0, faults });
    if (config.json) continue;
    const { paint } = terminal;
    if (faults.length === 0) terminal.write(`${paint("green", "✓")} ${model.name}`);
    for (const fault of faults) terminal.write(`${paint("red", "✗")} ${model.name}: ${fault}`);
  }
  const isWell = checked.every(({ ok }) => ok);
  if (config.json) terminal.write(JSON.stringify({ ok: isWell, models: checked }));
  else if (!isWell) {
    terminal.write("  Fetch what differs again: octo-worker models remove NAME, then models add");
  }
  return isWell ? 0 : 1;
}
