import { describe, expect, test } from "vitest";
import type { Context } from "../../../edge/context.ts";
import type { HubDigest } from "../../../edge/directory/digest.ts";
import { packDigests } from "../../../edge/directory/packed-view.ts";
import { chooseAnywhere } from "../../../edge/inference/placing/choose-anywhere.ts";
import { OctoError } from "../../../shared/errors.ts";
import type { Region } from "../../../shared/regions.ts";
import { until } from "../../helpers/until.ts";
import { hub, model, query } from "../../edge/inference/digests.ts";

/** A request whose platform has such a directory in every region. */
function contextWith(view: (region: Region) => Promise<readonly HubDigest[]>): Context {
  const get = (region: Region) => ({ view: async () => packDigests([...(await view(region))]) });
  const env = { DIRECTORY: { idFromName: (region: Region) => region, get } };
  return { env, region: "weur", waitUntil: () => {} } as unknown as Context;
}

async function failureOf(ctx: Context, name: string): Promise<string> {
  const failure = await chooseAnywhere(ctx, query({ model: name })).catch(
    (error: unknown) => error,
  );
  return failure instanceof OctoError ? failure.code : String(failure);
}

describe("a model that nobody is known to offer", () => {
  test("may be there while a directory does not answer, and is not once all do", async () => {
    const silent = contextWith(async (region) => {
      if (region === "weur") throw new Error("overloaded");
      return [];
    });
    expect(await failureOf(silent, "m")).toBe("unavailable");
    const answering = contextWith(async () => [hub("weur:0", model({ model: "other" }))]);
    await until("what was seen is old enough to be asked for anew", async () => {
      return (await failureOf(answering, "m")) === "model_not_found";
    });
  });

  test("and was there a moment ago may be there again", async () => {
    const staying = model({ model: "staying" });
    let digests = [hub("weur:0", model({ model: "leaving" }), staying)];
    const ctx = contextWith(async (region) => (region === "weur" ? digests : []));
    await until("it was seen", () =>
      chooseAnywhere(ctx, query({ model: "leaving" })).catch(() => false as const),
    );
    digests = [hub("weur:0", staying)];
    await until("it is seen to have left", async () => {
      return (await failureOf(ctx, "leaving")) === "unavailable";
    });
    expect(await failureOf(ctx, "never there")).toBe("model_not_found");
  });

  test("is had from another region while the own directory does not answer", async () => {
    const silent = contextWith(async (region) => {
      if (region === "weur") throw new Error("overloaded");
      return region === "enam" ? [hub("enam:0", model({ model: "far" }))] : [];
    });
    const choice = await until("what was seen is old enough to be asked for anew", () =>
      chooseAnywhere(silent, query({ model: "far" })).catch(() => false as const),
    );
    expect(choice.hubIds).toEqual(["enam:0"]);
  });
});
