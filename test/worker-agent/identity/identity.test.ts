import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createPrivateKey } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createIdentity, identityPath, loadIdentity } from "../../../worker-agent/identity.ts";
import { takeLock, lockOwner } from "../../../worker-agent/state/lock.ts";
import { verifySignature } from "../../../shared/crypto/signing.ts";

function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "octo-identity-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "state");
}

test("a new identity is a private key for its owner only, and the same one is loaded again", async () => {
  const folder = scratchFolder();
  const made = await createIdentity(folder);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(statSync(identityPath(folder)).mode & 0o777).toBe(0o600);
  const pem = createPrivateKey(readFileSync(identityPath(folder), "utf8"));
  expect(pem.asymmetricKeyType).toBe("ed25519");
  const loaded = await loadIdentity(folder);
  expect(loaded?.publicKey).toBe(made.publicKey);
  const domain = "octo-auth-v1";
  const signature = (await loaded?.sign(domain, "hello")) ?? "";
  const { publicKey } = made;
  expect(await verifySignature({ publicKey, domain, message: "hello", signature })).toBe(true);
});

test("an existing identity is never replaced", async () => {
  const folder = scratchFolder();
  const made = await createIdentity(folder);
  await expect(createIdentity(folder)).rejects.toThrow("holds one already");
  expect((await loadIdentity(folder))?.publicKey).toBe(made.publicKey);
});

test("without a file there is no identity", async () => {
  expect(await loadIdentity(scratchFolder())).toBeNull();
});

test.skipIf(process.platform === "win32")(
  "an identity that others may read is refused, with the remedy",
  async () => {
    const folder = scratchFolder();
    await createIdentity(folder);
    chmodSync(identityPath(folder), 0o640);
    await expect(loadIdentity(folder)).rejects.toThrow(
      `others may read it (mode 640); run chmod 600 ${identityPath(folder)}`,
    );
  },
);

test.for(["", "not a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])(
  "a file that holds no key is refused: %j",
  async (text) => {
    const folder = scratchFolder();
    await createIdentity(folder);
    writeFileSync(identityPath(folder), text);
    await expect(loadIdentity(folder)).rejects.toThrow("it holds no Ed25519 private key");
  },
);

test("one worker runs from a folder; a lock left by a dead process is taken over", async () => {
  const folder = scratchFolder();
  await createIdentity(folder);
  const lock = await takeLock(folder);
  await expect(takeLock(folder)).rejects.toThrow(`process ${process.pid}`);
  lock.release();
  expect(await lockOwner(folder)).toBeNull();
  // The highest process number Linux gives is below this one.
  writeFileSync(join(folder, "worker.lock"), '{"pid":99999999,"started":"1"}');
  (await takeLock(folder)).release();
  // A process of this number lives, but it is not the one that took the lock.
  writeFileSync(join(folder, "worker.lock"), `{"pid":${process.pid},"started":"1"}`);
  (await takeLock(folder)).release();
});
