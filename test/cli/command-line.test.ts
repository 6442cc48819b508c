import { expect, test } from "vitest";
import { commandNames, formOf } from "../../cli/words/command-forms.ts";
import { parseCommandLine } from "../../cli/words/parse-command-line.ts";
import { OctoMachine } from "../helpers/octo-run.ts";

test("help names every command, and each explains itself with examples", async () => {
  const octo = new OctoMachine();
  const general = await octo.run([]);
  expect(general.code).toBe(0);
  for (const name of commandNames) {
    expect(general.out).toContain(`  ${name} `);
    const own = await octo.run([...name.split(" "), "--help"]);
    expect([own.code, own.err]).toEqual([0, ""]);
    expect(own.out).toContain(`Usage: octo ${name}`);
    for (const option of Object.keys(formOf(name).options))
      expect(own.out).toContain(`--${option}`);
    expect(own.out).toMatch(/Examples:\n {2}\S/);
    expect((await octo.run(["help", ...name.split(" ")])).out).toBe(own.out);
  }
  expect((await octo.run(["keys", "--help"])).out).toContain("octo keys rotate ID");
  expect((await octo.run(["--version"])).out).toMatch(/^octo \d+\.\d+\.\d+\n$/);
});

test("the lines of help fit a terminal of 100 columns", async () => {
  const octo = new OctoMachine();
  for (const name of commandNames) {
    const { out } = await octo.run([...name.split(" "), "--help"]);
    expect(out.split("\n").filter((line) => [...line].length > 100)).toEqual([]);
  }
});

test.for([
  [["frob"], 'Cannot run "frob": the commands are login, logout'],
  [["--url", "https://x.example", "ask"], '"--url" comes behind a command'],
  [["keys"], 'Cannot run "keys": what follows keys is list, create NAME, revoke ID, rotate ID'],
  [["keys", "frob"], 'Cannot run "keys frob": what follows keys is list'],
  [["keys", "toString"], 'Cannot run "keys toString"'],
  [["keys", "create"], "octo keys create takes NAME, not nothing; see octo keys create --help"],
  [
    ["workers", "frob"],
    'Cannot run "workers frob": what follows workers is list, add ID, remove ID',
  ],
  [["workers", "add"], "octo workers add takes ID, not nothing"],
  [["workers", "add", "short"], `Cannot use "short" as a worker's id`],
  [["workers", "remove", "A".repeat(44)], "it must be the public key that octo-worker shows"],
  [["workers", "--name", "x"], "Unknown option '--name'; see octo workers list --help"],
  [["balance", "now"], 'octo balance takes nothing, not "now"'],
  [["task"], "octo task takes ID, not nothing"],
  [["chat", "a", "b"], 'octo chat takes [MODEL], not "a" "b"'],
  [["ask", "--frob"], "Unknown option '--frob'; see octo ask --help"],
  [["ask", "--model", "a", "--model", "b", "hi"], "--model is given twice"],
  [["ask", "--model"], "see octo ask --help"],
  [["help", "frob"], 'Cannot run "frob"'],
  [["completion", "csh"], "it must be one of bash, zsh, fish"],
  [["usage", "--by", "color"], 'Cannot use "color" as --by'],
  [["usage", "--by", "day,day"], "words with commas between them, each once"],
  [["usage", "--from", "2026-02-30"], 'Cannot use "2026-02-30" as --from'],
  [["usage", "--from", "2026-11-02", "--to", "2026-11-01"], "--to 2026-11-01 is before"],
  [["usage", "--csv", "--json"], "--csv and --json are two forms"],
  [["listings", "--sort", "beauty"], "it must be one of price, speed"],
  [["tasks", "--limit", "0"], "it must be a whole number from 1 to 10000"],
  [["ask", "hi", "--temperature", "3"], "it must be a number from 0 to 2"],
  [["ask", "hi", "--url", "ftp://x"], 'Cannot use "ftp://x" from --url: it must be a URL'],
  [["ask", "hi", "--url", "http://far.example"], "everybody on the way could read the key"],
  [["ask", "hi", "--dev", "--url", "https://x.example"], "--dev and --url name two edges"],
  [["ask", "hi", "--url", "https://x.example", "--key", "-"], "--key - reads a key for octo login"],
  [["top-up", "5"], "Whom? Name the account: --account acct_…"],
  [["top-up", "-5", "--account", "a"], "Unknown option '-5'"],
  [["top-up", "1e3", "--account", "a"], 'Cannot use "1e3" as an amount'],
  [["login"], "Which edge? Give octo login its address"],
  [["login", "--url", "https://x.example", "--new"], "--new and --account belong to --wallet"],
  [["login", "--url", "https://x.example", "--wallet", "w", "--key", "k"], "two ways to sign in"],
] as const)("%j is one line and exit code 2", async ([words, said]) => {
  const { code, out, err } = await new OctoMachine().run(words);
  expect([code, out, err.split("\n").length]).toEqual([2, "", 2]);
  expect(err).toMatch(/^octo: /);
  expect(err).toContain(said);
});

test("options may stand before and behind arguments, and -- ends them", () => {
  expect(parseCommandLine(["ask", "--usage", "What", "is", "--model=m", "this?"])).toEqual({
    kind: "command",
    name: "ask",
    args: ["What", "is", "this?"],
    options: { usage: "", model: "m" },
  });
  expect(parseCommandLine(["ask", "--", "--usage", "-"])).toMatchObject({
    args: ["--usage", "-"],
    options: {},
  });
});
