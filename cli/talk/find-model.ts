import { CommandError } from "../failures.ts";
import { type Model, modelListSchema } from "../http/answers.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import { plainLine } from "../screen/plain-text.ts";
import { rememberModels } from "../session/known-models.ts";
import type { World } from "../world.ts";

/** What is served now. The names are kept for completion. */
export async function readModels(client: EdgeClient, world: World): Promise<Model[]> {
  const { data } = await client.get("/v1/models", modelListSchema);
  await rememberModels(
    world,
    data.map(({ id }) => id),
  );
  return data;
}

/** The names of the models that chat. */
export async function chatModels(client: EdgeClient, world: World): Promise<string[]> {
  const models = await readModels(client, world);
  return models.filter(({ octo }) => octo.abilities.includes("chat")).map(({ id }) => id);
}

/** The first model that chats. Throws CommandError where there is none. */
export async function anyChatModel(client: EdgeClient, world: World): Promise<string> {
  const [first] = await chatModels(client, world);
  if (first !== undefined) return first;
  throw new CommandError(`No model that chats is served by ${client.url} now; see octo models`);
}

/** A list of names in one sentence. */
export function namesInWords(names: readonly string[]): string {
  return names.length === 0 ? "none" : names.map((name) => plainLine(name, 128)).join(", ");
}
