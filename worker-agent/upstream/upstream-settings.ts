import { ConfigError } from "../cli/config-error.ts";
import type { Found, Inputs } from "../cli/find-settings.ts";
import { findSetting } from "../cli/find-settings.ts";
import { isLoopback, modelName } from "../cli/setting-forms.ts";
import { Secret } from "./secret.ts";

/** One of a server's models that the provider chose. */
export interface WantedModel {
  /** Its name on the server. */
  readonly name: string;
  /** The name to list it under; null is the server's. */
  readonly listedAs: string | null;
}

/** Which other servers' models to serve. */
export interface UpstreamSettings {
  /** `auto` looks at this machine's usual ports. */
  readonly look: "auto" | "given" | "none";
  /** Base addresses, without `/v1` and a slash at their end. */
  readonly urls: readonly string[];
  /** Empty is every model. */
  readonly models: readonly WantedModel[];
  /** Only for servers the provider has named: what listens on a port may be anybody's. */
  readonly key: Secret | null;
}

/** Reads the settings of other servers. Throws ConfigError. */
export function readUpstream(inputs: Inputs, isModelGiven: boolean): UpstreamSettings {
  const setting = findSetting("upstream", inputs);
  const texts = setting.texts.flatMap((text) => text.split(",")).map((text) => text.trim());
  const found = { ...setting, texts };
  const allowed = findSetting("allowUpstream", inputs).texts.filter((host) => host !== "");
  const words = found.texts.filter((text) => text === "auto" || text === "none");
  if (words.length > 0 && found.texts.length > 1) {
    const rule = "auto and none stand alone, beside no URL";
    throw new ConfigError(
      `Cannot use ${quoted(found.texts.join(","))} from ${found.from}: ${rule}`,
    );
  }
  const models = readWanted(findSetting("upstreamModel", inputs));
  const urls = words.length > 0 ? [] : found.texts.map((text) => readUrl(text, found, allowed));
  const key = inputs.env["OCTO_UPSTREAM_KEY"] ?? "";
  if (urls.length > 0) {
    return { look: "given", urls, models, key: key === "" ? null : new Secret(key) };
  }
  // Whoever names a model wants that one, and nothing that happens to run beside it.
  const isLooking = words[0] === "auto" && (!isModelGiven || found.level !== "default");
  return { look: isLooking ? "auto" : "none", urls, models, key: null };
}

function readUrl(text: string, found: Found, allowed: readonly string[]): string {
  const refuse = (rule: string): never => {
    throw new ConfigError(`Cannot use ${quoted(text)} from ${found.from}: ${rule}`);
  };
  const form = "it must be auto, none or a server's http address, say http://127.0.0.1:11434";
  if (!URL.canParse(text)) return refuse(form);
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") return refuse(form);
  // The address alone is repeated: a password in it would be told with it.
  if (url.username !== "" || url.password !== "") {
    const rule = "a key goes into OCTO_UPSTREAM_KEY, not into the address";
    throw new ConfigError(`Cannot use the address from ${found.from}: ${rule}`);
  }
  if (url.search + url.hash !== "") return refuse("it has no query and no #");
  if (!isLoopback(url) && !allowed.includes(url.hostname) && !allowed.includes(url.host)) {
    return refuse(
      `${url.hostname} is another machine, which reads what consumers ask; ` +
        `if it is yours, add --allow-upstream ${url.hostname}`,
    );
  }
  return (url.origin + url.pathname).replace(/\/+$/, "").replace(/\/v1$/, "");
}

function readWanted(found: Found): WantedModel[] {
  return found.texts
    .filter((text) => text !== "")
    .map((text) => {
      const cut = text.lastIndexOf("=");
      if (cut < 0) return { name: text, listedAs: null };
      return { name: text.slice(0, cut), listedAs: modelName(text.slice(cut + 1), found) };
    });
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
