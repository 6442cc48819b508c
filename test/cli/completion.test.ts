import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { rememberModels } from "../../cli/session/known-models.ts";
import { commandNames, formOf } from "../../cli/words/command-forms.ts";
import { OctoMachine } from "../helpers/octo-run.ts";

function has(shell: string): boolean {
  return spawnSync(shell, ["-c", "true"]).status === 0;
}

describe.skipIf(!has("bash"))("in bash", () => {
  async function offered(line: string, models: readonly string[] = []): Promise<string[]> {
    const octo = new OctoMachine();
    await rememberModels({ env: {}, home: octo.home }, models);
    const { out } = await octo.run(["completion", "bash"]);
    const file = octo.path("octo.bash");
    writeFileSync(file, out);
    const script =
      `source "${file}"; COMP_LINE=$1; COMP_POINT=\${#1}; _octo; ` +
      `printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { HOME: octo.home, PATH: process.env["PATH"] ?? "" };
    const words = ["--norc", "-c", script, "bash", line];
    const answer = execFileSync("bash", words, { env, cwd: octo.home, encoding: "utf8" });
    return answer.split("\n").filter((word) => word !== "");
  }

  test.each([
    ["octo ba", ["balance"]],
    ["octo log", ["login", "logout"]],
    ["octo keys ", ["list", "create", "revoke", "rotate"]],
    ["octo keys r", ["revoke", "rotate"]],
    ["octo wo", ["workers"]],
    ["octo workers ", ["list", "add", "remove"]],
    ["octo workers add A --n", ["--name"]],
    ["octo keys create laptop --sc", ["--scopes"]],
    ["octo keys create laptop --scopes m", ["management"]],
    ["octo ask --strategy s", ["speed"]],
    ["octo listings --sort ", ["price", "speed", "first-token", "context", "success"]],
    ["octo completion ", ["bash", "zsh", "fish"]],
    ["octo balance ", []],
    ["octo usage --by ", ["key", "model", "day", "team", "project"]],
    ["octo usage --by model,d", ["model,day"]],
    ["octo keys create laptop --scopes inference,m", ["inference,management"]],
    ["octo keys create laptop --scopes inference,x", []],
    ["octo he", ["help"]],
    ["octo help k", ["keys"]],
    ["octo frob ", []],
  ])("%j offers %j", async (line, words) => {
    expect(await offered(line)).toEqual(words);
  });

  test("models are those that were shown last, colons and all", async () => {
    const models = ["octo-tiny", "org/model:q8", "org/model:q4"];
    expect(await offered("octo chat ", models)).toEqual(models);
    expect(await offered("octo ask --model octo", models)).toEqual(["octo-tiny"]);
    // Bash has put a word border behind the colon, and replaces what is behind it.
    expect(await offered("octo chat org/model:q", models)).toEqual(["q8", "q4"]);
  });

  test("a name that is a command for a shell is neither kept nor run", async () => {
    const octo = new OctoMachine();
    const evil = ["$(touch ran)", "`touch ran`", "a;touch ran", "good"];
    expect(await offered("octo chat ", evil)).toEqual(["good"]);
    // Nor where somebody else wrote the file.
    mkdirSync(octo.path(".cache", "octo"), { recursive: true });
    writeFileSync(octo.path(".cache", "octo", "models"), `${evil.join("\n")}\n`);
    const { out } = await octo.run(["completion", "bash"]);
    writeFileSync(octo.path("octo.bash"), out);
    const script =
      'source ./octo.bash; COMP_LINE="octo chat "; COMP_POINT=10; _octo; ls; ' +
      "printf '%s' \"${#COMPREPLY[@]}\"";
    const options = { env: { HOME: octo.home, PATH: process.env["PATH"] ?? "" }, cwd: octo.home };
    const answer = execFileSync("bash", ["--norc", "-c", script], { ...options, encoding: "utf8" });
    expect(answer).toBe("octo.bash\n4");
  });

  test("a file is offered where one is wanted, spaces and all", async () => {
    expect(await offered("octo login --wallet octo.b")).toEqual(["octo.bash"]);
  });
});

describe.skipIf(!has("fish"))("in fish", () => {
  test.each([
    ["octo ba", ["balance"]],
    ["octo keys ", ["create", "list", "revoke", "rotate"]],
    ["octo keys create laptop --sc", ["--scopes"]],
    ["octo ask --strategy s", ["speed"]],
    ["octo chat octo", ["octo-tiny"]],
    ["octo ask --model octo", ["octo-tiny"]],
    ["octo he", ["help"]],
    ["octo help k", ["keys"]],
  ])("%j offers %j", async (line, words) => {
    const octo = new OctoMachine();
    await rememberModels({ env: {}, home: octo.home }, ["octo-tiny", "other"]);
    writeFileSync(octo.path("octo.fish"), (await octo.run(["completion", "fish"])).out);
    const script = `source ./octo.fish; complete -C '${line}'`;
    const options = { env: { HOME: octo.home, PATH: process.env["PATH"] ?? "" }, cwd: octo.home };
    const answer = execFileSync("fish", ["--no-config", "-c", script], {
      ...options,
      encoding: "utf8",
    });
    const offered = answer.split("\n").map((text) => text.split("\t")[0]);
    expect(offered.filter((word) => word !== "").toSorted()).toEqual(words);
  });
});

test.each(["zsh", "fish"])("the script for %s knows every command and option", async (shell) => {
  const octo = new OctoMachine();
  const { code, out } = await octo.run(["completion", shell]);
  expect(code).toBe(0);
  for (const name of commandNames) {
    for (const word of name.split(" ")) expect(out).toMatch(new RegExp(`\\b${word}\\b`));
    for (const option of Object.keys(formOf(name).options)) {
      expect(out).toContain(shell === "zsh" ? `--${option}[` : `-l ${option}`);
    }
  }
  writeFileSync(octo.path("script"), out);
  if (!has(shell)) return;
  const checked = spawnSync(shell, ["-n", octo.path("script")], { encoding: "utf8" });
  expect([checked.status, checked.stderr]).toEqual([0, ""]);
});
