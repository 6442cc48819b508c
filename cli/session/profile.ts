import { rm } from "node:fs/promises";
import { z } from "zod";
import { jsonOrNull } from "../../shared/json-or-null.ts";
import { CommandError } from "../failures.ts";
import type { World } from "../world.ts";
import { profilePath } from "./folders.ts";
import { fileError, hasCode, readPrivateFile, writePrivateFile } from "./private-file.ts";

const keyProfile = z.strictObject({ v: z.literal(1), url: z.url(), key: z.string().min(1) });

const walletProfile = z.strictObject({
  v: z.literal(1),
  url: z.url(),
  wallet: z.strictObject({
    /** The key file. */
    path: z.string().min(1),
    /** Which account to sign in to, where there are several. */
    account_id: z.string().nullable(),
    token: z.string().min(1),
    expires_ms: z.int(),
  }),
});

const profileSchema = z.union([keyProfile, walletProfile]);

export type WalletProfile = z.infer<typeof walletProfile>;
/** What `octo login` stored: an edge, and who one is to it. */
export type Profile = z.infer<typeof profileSchema>;

type Place = Pick<World, "env" | "home">;

/** The stored profile, or null. Throws CommandError where it must not or cannot be used. */
export async function readProfile(place: Place): Promise<Profile | null> {
  const path = profilePath(place);
  const text = await readPrivateFile(path);
  if (text === null) return null;
  const profile = profileSchema.safeParse(jsonOrNull(text));
  if (profile.success) return profile.data;
  throw new CommandError(`Cannot use ${path}: it is damaged; run octo login again`);
}

export async function writeProfile(place: Place, profile: Profile): Promise<void> {
  await writePrivateFile(profilePath(place), `${JSON.stringify(profile, null, 2)}\n`);
}

/** Whether there was one. */
export async function removeProfile(place: Place): Promise<boolean> {
  const path = profilePath(place);
  try {
    await rm(path);
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT") || hasCode(error, "ENOTDIR")) return false;
    throw fileError("delete", path, error);
  }
}
