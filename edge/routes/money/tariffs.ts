import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import {
  canonicalTariff,
  defaultTariff,
  type Tariff,
  type TariffBody,
  tariffHash,
  tariffSchema,
} from "../../../shared/tariff.ts";
import { databaseOf } from "../../database.ts";
import { addTariff, findTariff, listTariffs, readTariff } from "../../db/money/tariffs.ts";
import { currentTariff, forgetTariffs } from "../../inference/current-tariff.ts";
import { pageQuery, pageSchema, pageToJson, timeField, timeToJson } from "../fields.ts";
import { defineRoute, type Route } from "../route.ts";

const path = "/api/v1/tariffs";

const hashField = z
  .string()
  .regex(/^[0-9a-f]{64}$/, "not the hash of a tariff: 64 digits 0-9 and a-f")
  .meta({ description: "SHA-256 of `body`, in hex" });

const modesField = tariffSchema.shape.modes.meta({
  description: "What each mode costs, in percent of the price that a listing asks",
});
const splitField = tariffSchema.shape.split.meta({
  description: "Who gets what of what a task costs, in percent; the parts add up to 100",
});

const tariffAnswer = z
  .object({
    object: z.literal("tariff"),
    hash: hashField,
    version: z.int(),
    effective_from: timeField,
    modes: modesField,
    split: splitField,
    body: z.string().meta({ description: "The tariff as canonical JSON (RFC 8785)" }),
  })
  .meta({
    id: "Tariff",
    description: "A price table, never changed. Every task says under which one it was agreed.",
  });

const newTariffSchema = z
  .strictObject({
    version: z.int().min(1).max(Number.MAX_SAFE_INTEGER),
    effective_from: z.iso
      .datetime({ offset: true })
      .optional()
      .meta({ description: "When it begins to count; at once unless said" }),
    modes: modesField.default(defaultTariff.body.modes),
    split: splitField.default(defaultTariff.body.split),
  })
  .meta({
    id: "NewTariff",
    examples: [{ version: 1, modes: { realtime: 100, batch: 60, async: 30 } }],
  });

/** What things cost, besides what listings ask. */
export const tariffRoutes: readonly Route[] = [
  defineRoute({
    name: "createTariff",
    method: "post",
    path,
    summary: "Make a new tariff",
    about:
      "It counts for tasks that begin from its time on, within a minute everywhere. Tasks that " +
      "began before are settled under the tariff of then.",
    access: "network:operate",
    body: newTariffSchema,
    status: 201,
    answer: tariffAnswer,
    errors: ["conflict"],
    async handle({ ctx, body: { effective_from: from, ...rest } }) {
      const fromMs = from === undefined ? ctx.startedMs : Date.parse(from);
      if (fromMs < 0) {
        throw new OctoError("invalid_request", `Cannot make a tariff of before 1970: ${from}`, {
          param: "effective_from",
        });
      }
      const tariff: TariffBody = { ...rest, effective_from: fromMs };
      const hash = tariffHash(tariff);
      await using db = databaseOf(ctx.env);
      const { version } = tariff;
      const row = { hash, version, body: canonicalTariff(tariff), createdAt: ctx.startedMs };
      if (!(await addTariff(db, row))) {
        const why = "there is one of that version or a higher one";
        throw new OctoError("conflict", `Cannot make tariff ${version}: ${why}`, {
          param: "version",
        });
      }
      forgetTariffs();
      return tariffToJson({ hash, body: tariff });
    },
  }),
  defineRoute({
    name: "listTariffs",
    method: "get",
    path,
    summary: "List the tariffs, the newest first",
    about: "`current` is the one that counts now; where it is not in the list it is built in.",
    access: "any key",
    query: z.strictObject(pageQuery),
    answer: pageSchema(tariffAnswer).extend({ current: hashField }).meta({ id: "TariffPage" }),
    async handle({ ctx, query }) {
      await using db = databaseOf(ctx.env);
      const page = pageToJson(await listTariffs(db, query), (row) => tariffToJson(readTariff(row)));
      return { ...page, current: (await currentTariff(ctx)).hash };
    },
  }),
  defineRoute({
    name: "readTariff",
    method: "get",
    path: `${path}/:hash`,
    summary: "Read a tariff, as a task of it was agreed under",
    access: "any key",
    params: z.strictObject({ hash: hashField }),
    answer: tariffAnswer,
    errors: ["not_found"],
    async handle({ ctx, params: { hash } }) {
      if (hash === defaultTariff.hash) return tariffToJson(defaultTariff);
      await using db = databaseOf(ctx.env);
      const row = await findTariff(db, hash);
      if (row === null) throw new OctoError("not_found", `There is no tariff ${hash}`);
      return tariffToJson(readTariff(row));
    },
  }),
];

function tariffToJson({ hash, body }: Tariff): z.infer<typeof tariffAnswer> {
  return {
    object: "tariff",
    hash,
    version: body.version,
    effective_from: timeToJson(body.effective_from),
    modes: body.modes,
    split: body.split,
    body: canonicalTariff(body),
  };
}
