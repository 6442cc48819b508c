import type { Window } from "../serving/hours.ts";
import { parseHours } from "../serving/hours.ts";
import type { MemoryLimit } from "../serving/memory-limit.ts";
import { ConfigError } from "./config-error.ts";
import type { Found } from "./find-settings.ts";

/** How settings of a guest on somebody's machine are written. */

function refuse(found: Found, accepted: string): never {
  const text = JSON.stringify(found.texts[0] ?? "");
  throw new ConfigError(`Cannot use ${text} from ${found.from}: ${accepted}`);
}

/** Windows of local time. */
export function hours(found: Found): readonly Window[] {
  const accepted =
    "it must be times, days, or days and times, with commas between them " +
    "(22:00-07:00, Sat-Sun, Mon-Fri 18:00-23:00)";
  return parseHours(found.texts[0] ?? "") ?? refuse(found, accepted);
}

const bytesByUnit = new Map([
  ["mib", 2 ** 20],
  ["gib", 2 ** 30],
  ["mb", 1e6],
  ["gb", 1e9],
]);

/** `90%`, `8GiB`, `8000MB`. */
export function memory(found: Found): MemoryLimit {
  const text = (found.texts[0] ?? "").trim().toLowerCase();
  const percent = /^(\d{1,3}) ?%$/.exec(text);
  if (percent !== null && Number(percent[1]) >= 1 && Number(percent[1]) <= 95) {
    return { kind: "share", percent: Number(percent[1]) };
  }
  const [, amount = "", unit = ""] = /^(\d{1,6}(?:\.\d{1,3})?) ?(mib|gib|mb|gb)$/.exec(text) ?? [];
  const bytes = Math.floor(Number(amount) * (bytesByUnit.get(unit) ?? 0));
  if (bytes > 0) return { kind: "bytes", bytes };
  return refuse(found, "it must be a share from 1% to 95%, or an amount like 8GiB or 8000MB");
}

const msByUnit = new Map([
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 24 * 3_600_000],
]);

/** Milliseconds of `30m`, `2h`, `1h30m` or `1d`; null where it is none of them. */
export function parseDuration(text: string): number | null {
  if (!/^(\d{1,4}[dhm])+$/.test(text)) return null;
  let ms = 0;
  for (const [, amount = "", unit = ""] of text.matchAll(/(\d+)([dhm])/g)) {
    ms += Number(amount) * (msByUnit.get(unit) ?? 0);
  }
  return ms > 0 ? ms : null;
}
