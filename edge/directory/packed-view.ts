import type { HubDigest, ModelDigest } from "./digest.ts";

/**
 * The digests of a region as front Workers fetch them. Hubs repeat each other: the same twenty
 * models, with the same weights and abilities, on each of them. So each distinct value of a field
 * is written once, and a model on a hub is a row of numbers. Which fields there are is not known
 * here.
 */
interface PackedView {
  readonly fields: readonly (keyof ModelDigest)[];
  /** The distinct values of each field. */
  readonly values: readonly (readonly unknown[])[];
  readonly hubs: readonly PackedHub[];
}

type PackedHub = Omit<HubDigest, "models"> & {
  /** Model by model, the number of the value of each field. */
  readonly rows: readonly number[];
};

/** The numbers of one field's values. */
interface Dictionary {
  readonly values: unknown[];
  readonly numberByText: Map<unknown, number>;
}

export function packDigests(digests: readonly HubDigest[]): string {
  const any = digests.find(({ models }) => models.length > 0)?.models[0];
  const fields = Object.keys(any ?? {}) as (keyof ModelDigest)[];
  const dictionaries = fields.map((): Dictionary => ({ values: [], numberByText: new Map() }));
  const hubs = digests.map(({ models, ...hub }): PackedHub => {
    const rows: number[] = [];
    for (const model of models) {
      for (const [at, field] of fields.entries()) {
        rows.push(numberOf(dictionaries[at] as Dictionary, model[field]));
      }
    }
    return { ...hub, rows };
  });
  const packed: PackedView = { fields, values: dictionaries.map(({ values }) => values), hubs };
  return JSON.stringify(packed);
}

/** What `packDigests` has packed. Digests share what they have in common: 400 of them are small. */
export function unpackDigests(text: string): HubDigest[] {
  const { fields, values, hubs } = JSON.parse(text) as PackedView;
  // V8 makes a hash table of an object that is given more than a dozen fields one by one, which
  // takes eight times the memory and is slow to read; parsed ones and their copies are records.
  const blanks = Object.fromEntries(fields.map((field) => [field, null]));
  const blank = JSON.parse(JSON.stringify(blanks)) as Record<string, unknown>;
  return hubs.map(({ rows, ...hub }) => {
    const models: ModelDigest[] = [];
    for (let from = 0; from < rows.length; from += fields.length) {
      const model: Record<string, unknown> = { ...blank };
      for (const [at, field] of fields.entries()) {
        model[field] = values[at]?.[rows[from + at] ?? -1];
      }
      models.push(model as unknown as ModelDigest);
    }
    return { ...hub, models };
  });
}

function numberOf({ values, numberByText }: Dictionary, value: unknown): number {
  // Texts, numbers and null are what they are; a list or a record is known by what it says.
  const key = typeof value === "object" && value !== null ? JSON.stringify(value) : value;
  const known = numberByText.get(key);
  if (known !== undefined) return known;
  const number = values.push(value) - 1;
  numberByText.set(key, number);
  return number;
}
