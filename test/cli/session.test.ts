import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { verifySignature } from "../../shared/crypto/signing.ts";
import { parseSealedText, sealedText, signInText } from "../../shared/sign-in.ts";
import { fail, FakeEdge, type FakeRoute } from "../helpers/fake-edge.ts";
import { OctoMachine } from "../helpers/octo-run.ts";

const key = "octo_sk_test_abcdefgh_secret";
const account = {
  object: "account",
  id: "acct_1",
  status: "active",
  concurrency_max: 4,
  balance_micros: 1_500_000,
  held_micros: 500_000,
  earned_micros: 0,
};

async function newEdge(routes: Record<string, FakeRoute> = {}): Promise<FakeEdge> {
  const edge = await FakeEdge.start({
    "GET /v1/models": ({ headers }, response) =>
      headers.authorization === `Bearer ${key}`
        ? { object: "list", data: [] }
        : fail(response, 401, "invalid_api_key", "The API key is not valid."),
    "GET /api/v1/account": () => account,
    ...routes,
  });
  onTestFinished(() => edge[Symbol.asyncDispose]());
  return edge;
}

describe("a key", () => {
  test("is stored for its owner alone once the edge knows it, used, and forgotten", async () => {
    const [edge, octo] = [await newEdge(), new OctoMachine()];
    const words = ["login", "--url", `${edge.url}/v1/`, "--key", "-"];
    const stored = await octo.run(words, { input: `${key}\n` });
    expect(stored).toEqual({ code: 0, out: `Signed in to ${edge.url}\n`, err: "" });
    const path = octo.path(".config", "octo", "config.json");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({ v: 1, url: edge.url, key });

    const balance = await octo.run(["balance"]);
    expect(balance.out.split("\n")).toEqual([
      "Account  acct_1",
      "Balance  1.5 credits",
      "Held     0.5 credits, for tasks that are running",
      "Free     1 credits",
      "",
    ]);
    expect(edge.bearers.at(-1)).toBe(`Bearer ${key}`);
    expect(JSON.parse((await octo.run(["balance", "--json"])).out)).toEqual(account);
    expect((await octo.run(["logout"])).out).toContain("Signed out");
    expect((await octo.run(["balance"])).err).toMatch(/^octo: No edge is known; run octo login/);
    expect((await octo.run(["logout"])).out).toBe("Nobody was signed in\n");
  });

  test("that the edge does not know is not stored", async () => {
    const [edge, octo] = [await newEdge(), new OctoMachine()];
    const { code, err } = await octo.run(["login", "--url", edge.url, "--key", "octo_sk_x"]);
    expect([code, err]).toEqual([
      1,
      `octo: ${edge.url} does not know this key; nothing was stored\n`,
    ]);
    expect((await octo.run(["whoami"])).code).toBe(1);
  });

  test("goes to the edge it was stored for, and to no other", async () => {
    const [edge, other, octo] = [await newEdge(), await newEdge(), new OctoMachine()];
    await octo.run(["login", "--url", edge.url, "--key", key]);
    const elsewhere = await octo.run(["balance", "--url", other.url]);
    expect(elsewhere.code).toBe(1);
    expect(elsewhere.err).toContain(`There is no key for ${other.url}; run octo login --url`);
    expect((await octo.run(["balance"], { env: { OCTO_URL: other.url } })).code).toBe(1);
    expect(other.requests).toEqual([]);
  });

  test("is not sent on where an edge sends elsewhere", async () => {
    const octo = new OctoMachine();
    const other = await newEdge();
    const edge = await newEdge({
      "GET /api/v1/account": (_request, response) => {
        response.writeHead(302, { location: `${other.url}/api/v1/account` }).end();
      },
    });
    const { code, err } = await octo.run(["balance", "--url", edge.url, "--key", key]);
    expect(code).toBe(1);
    expect(err).toContain(`sends elsewhere, to ${other.url}/api/v1/account`);
    expect(other.requests).toEqual([]);
  });

  test("given as an option counts before a variable, and that before what is stored", async () => {
    const [edge, octo] = [await newEdge(), new OctoMachine()];
    await octo.run(["login", "--url", edge.url, "--key", key]);
    const env = { OCTO_API_KEY: "of-variable" };
    await octo.run(["balance", "--key", "of-option"], { env });
    await octo.run(["balance"], { env });
    await octo.run(["balance"]);
    expect(edge.bearers.slice(-3)).toEqual([
      "Bearer of-option",
      "Bearer of-variable",
      `Bearer ${key}`,
    ]);
  });

  test("that others may read, or that is damaged, is not used", async () => {
    const [edge, octo] = [await newEdge(), new OctoMachine()];
    const env = { XDG_CONFIG_HOME: octo.path("elsewhere") };
    await octo.run(["login", "--url", edge.url, "--key", key], { env });
    const path = octo.path("elsewhere", "octo", "config.json");
    const asked = edge.requests.length;
    chmodSync(path, 0o640);
    const open = await octo.run(["balance"], { env });
    expect([open.code, open.err]).toEqual([
      1,
      `octo: Cannot use ${path}: others may read it (mode 640); run chmod 600 ${path}\n`,
    ]);
    chmodSync(path, 0o600);
    writeFileSync(path, '{"url":"');
    expect((await octo.run(["balance"], { env })).err).toContain("it is damaged; run octo login");
    expect(edge.requests).toHaveLength(asked);
  });
});

describe("a network that runs in this repository", () => {
  function devFolder(octo: OctoMachine, url: string, mode = 0o600): string {
    mkdirSync(octo.path("repository", ".git"), { recursive: true });
    mkdirSync(octo.path("repository", ".octo"));
    mkdirSync(octo.path("repository", "below"));
    const dev = { url, api_key: "of-consumer", admin_key: "of-operator", workers: [] };
    writeFileSync(octo.path("repository", ".octo", "dev.json"), JSON.stringify(dev), { mode });
    return octo.path("repository", "below");
  }

  test("is found from below, said, and asked as consumer or as operator", async () => {
    const edge = await newEdge({
      "POST /api/v1/accounts/acct_1/credits": () => ({
        id: "t",
        account_id: "acct_1",
        amount_micros: 250_000,
        balance_micros: 1_750_000,
      }),
    });
    const octo = new OctoMachine();
    const cwd = devFolder(octo, edge.url);
    const balance = await octo.run(["balance"], { cwd });
    expect([balance.code, balance.err.split("\n").length]).toEqual([0, 2]);
    expect(balance.err).toContain(`octo: asking ${edge.url}, which runs here`);
    const words = ["top-up", "0.25", "--account", "acct_1", "--reason", "welcome", "--dev"];
    const given = await octo.run(words, { cwd });
    expect(given).toEqual({
      code: 0,
      out: "Gave 0.25 credits to acct_1, which now has 1.75\n",
      err: "",
    });
    const sent = edge.requests.at(-1);
    expect(sent?.body).toEqual({ amount_micros: 250_000, reason: "welcome" });
    expect(sent?.headers["idempotency-key"]).toMatch(/^[\x21-\x7e]{16,}$/);
    expect(edge.bearers).toEqual(["Bearer of-consumer", "Bearer of-operator"]);
  });

  test("is not looked for beyond the repository, nor believed where others may write", async () => {
    const [edge, octo] = [await newEdge(), new OctoMachine()];
    devFolder(octo, edge.url, 0o644);
    const cwd = octo.path("repository");
    expect((await octo.run(["balance"], { cwd })).err).toContain("others may read it (mode 644)");
    mkdirSync(join(cwd, "inner", ".git"), { recursive: true });
    const inner = await octo.run(["balance"], { cwd: join(cwd, "inner") });
    expect(inner.err).toContain("No edge is known");
    const meant = await octo.run(["balance", "--dev"], { cwd: join(cwd, "inner") });
    expect(meant.err).toContain("No network runs in this repository");
  });
});

describe("a wallet", () => {
  /** The edge's side of signing in, as far as a wallet sees it. */
  async function signInEdge(
    options: { readonly origin?: string; readonly expiresIn?: number } = {},
  ) {
    let sessions = 0;
    const edge: FakeEdge = await newEdge({
      "POST /api/v1/auth/challenge": ({ body }) => {
        const { public_key: publicKey } = body as { public_key: string };
        const text = signInText({
          network: "local",
          origin: options.origin ?? edge.url,
          publicKey,
          nonce: "n".repeat(22),
          expiresMs: Date.now() + 60_000,
        });
        return { challenge: sealedText(text, "s".repeat(43)) };
      },
      "POST /api/v1/auth/token": async ({ body }, response) => {
        const { challenge, signature } = body as { challenge: string; signature: string };
        const publicKey = parseSealedText(challenge)?.challenge.publicKey ?? "";
        const domain = "octo-sign-in-v1" as const;
        const good = await verifySignature({ publicKey, domain, message: challenge, signature });
        if (!good) return fail(response, 401, "invalid_api_key", "The signature is wrong");
        sessions += 1;
        const expires = options.expiresIn ?? 900;
        const accounts = [{ id: "acct_1" }];
        return { access_token: `session-${sessions}`, expires_in: expires, accounts };
      },
    });
    return edge;
  }

  test("is made once, signs in, and stores a session instead of a key", async () => {
    const [edge, octo] = [await signInEdge(), new OctoMachine()];
    const words = ["login", "--url", edge.url, "--wallet", "~/wallet.pem"];
    const missing = await octo.run(words);
    expect(missing.err).toContain("octo login --wallet FILE --new makes one");
    const signedIn = await octo.run([...words, "--new", "--account", "acct_1"]);
    expect([signedIn.code, signedIn.out]).toEqual([0, `Signed in to ${edge.url} for acct_1\n`]);
    expect(edge.requests.at(-1)?.body).toMatchObject({ account_id: "acct_1" });
    expect(statSync(octo.path("wallet.pem")).mode & 0o777).toBe(0o600);
    expect((await octo.run([...words, "--new"])).err).toContain("is there already");
    const profile = readFileSync(octo.path(".config", "octo", "config.json"), "utf8");
    expect(profile).not.toContain("PRIVATE");
    await octo.run(["balance"]);
    expect(edge.bearers.at(-1)).toBe("Bearer session-1");
  });

  test("signs in anew when its session is about to end", async () => {
    const [edge, octo] = [await signInEdge({ expiresIn: 20 }), new OctoMachine()];
    await octo.run(["login", "--url", edge.url, "--wallet", "w.pem", "--new"]);
    expect((await octo.run(["balance"])).code).toBe(0);
    expect(edge.bearers.at(-1)).toBe("Bearer session-2");
    expect((await octo.run(["whoami", "--json"])).out).toContain('"key_id":null');
  });

  test("signs nothing that another edge asks for", async () => {
    const edge = await signInEdge({ origin: "https://edge.example" });
    const octo = new OctoMachine();
    const words = ["login", "--url", edge.url, "--wallet", "w.pem", "--new"];
    const { code, err } = await octo.run(words);
    expect([code, err]).toEqual([1, expect.stringContaining("nothing was signed")]);
    expect(edge.requests.map(({ url }) => url.pathname)).toEqual(["/api/v1/auth/challenge"]);
  });

  test("that others may read is not used, nor a file that is no key", async () => {
    const [edge, octo] = [await signInEdge(), new OctoMachine()];
    const words = ["login", "--url", edge.url, "--wallet", "w.pem"];
    writeFileSync(octo.path("w.pem"), "a poem", { mode: 0o600 });
    expect((await octo.run(words)).err).toContain("it holds no Ed25519 private key (PKCS #8, PEM)");
    chmodSync(octo.path("w.pem"), 0o644);
    expect((await octo.run(words)).err).toContain("others may read it (mode 644)");
  });
});

describe("what goes wrong on the way is one line that names the edge", () => {
  test.for([
    [
      "http://127.0.0.1:9",
      /Cannot reach http:\/\/127\.0\.0\.1:9\/api\/v1\/account: 127\.0\.0\.1:9 refuses|bad port/,
    ],
    ["https://nowhere.invalid", /Cannot reach https:\/\/nowhere\.invalid\/api\/v1\/account: /],
  ] as const)("%s", async ([url, said]) => {
    const { code, err } = await new OctoMachine().run(["balance", "--url", url, "--key", "k"]);
    expect([code, err.split("\n").length]).toEqual([1, 2]);
    expect(err).toMatch(said);
  });

  test.for([
    [
      (_: unknown, response) => fail(response, 402, "insufficient_quota", "Too little"),
      "octo balance tells",
    ],
    [(_: unknown, response) => fail(response, 500, "internal", "Oh"), "its request was req_1"],
    [
      (_: unknown, response) => fail(response, 429, "rate_limit_exceeded", "Slow"),
      "try again later",
    ],
    [
      (_: unknown, response) =>
        void response.writeHead(200, { "content-type": "text/html" }).end("<p>"),
      "does not answer with JSON",
    ],
    [
      (_: unknown, response) =>
        void response.writeHead(404, { "content-type": "text/html" }).end("<p>"),
      "does not answer as an edge does (404, text/html)",
    ],
    [
      (_: unknown, response) => void response.writeHead(404).end(),
      "does not answer as an edge does (404, no type); check the URL\n",
    ],
    [
      (_: unknown, response) =>
        fail(response, 403, "insufficient_scope", "This needs the permission account:read"),
      "account:read; use a key with more scopes",
    ],
    [
      (_: unknown, response) =>
        fail(response, 403, "insufficient_scope", "This session acts for no account"),
      "octo: This session acts for no account\n",
    ],
    [() => ({ ...account, balance_micros: "much" }), "(balance_micros: Invalid input"],
    [(_: unknown, response) => void response.destroy(), "ended the connection"],
    [(_: unknown, response) => fail(response, 400, "x", "a\u001b[31m\nb"), "octo: a[31m b\n"],
  ] as readonly (readonly [FakeRoute, string])[])(
    "an answer of a kind: %#",
    async ([route, said]) => {
      const edge = await newEdge({ "GET /api/v1/account": route });
      const words = ["balance", "--url", edge.url, "--key", "k"];
      const { code, out, err } = await new OctoMachine().run(words);
      expect([code, out, err.split("\n").length]).toEqual([1, "", 2]);
      expect(err).toContain(said);
    },
  );
});
