import { expect, onTestFinished, test, vi } from "vitest";
import { httpGet } from "../../../worker-agent/models/http-get.ts";

const signal = new AbortController().signal;

/** The network, as far as a request sees it: where each address redirects to. */
function network(redirects: Readonly<Record<string, string>>) {
  const asked: { url: string; authorization: string | null }[] = [];
  vi.stubGlobal("fetch", (url: string, { headers }: { headers: Headers }) => {
    asked.push({ url, authorization: headers.get("authorization") });
    const location = redirects[url];
    if (location === undefined) return Promise.resolve(new Response("content"));
    return Promise.resolve(new Response(null, { status: 302, headers: { location } }));
  });
  onTestFinished(() => void vi.unstubAllGlobals());
  return asked;
}

test("the token does not go out in plain http where a hub redirects to it", async () => {
  const [from, to] = ["https://hub.example/file", "http://hub.example/file"];
  const asked = network({ [from]: to });
  await expect(httpGet(from, { token: "secret", signal })).rejects.toMatchObject({
    code: "download_failed",
    message: `Cannot download ${from}: it redirects from https to http`,
  });
  expect(asked).toEqual([{ url: from, authorization: "Bearer secret" }]);
});

test("the token goes to no other port or protocol of its host", async () => {
  const from = "https://hub.example/file";
  for (const to of ["https://hub.example:8443/file", "http://localhost/file"]) {
    const asked = network({ [from]: to });
    await httpGet(from, { token: "secret", signal });
    expect(asked).toEqual([
      { url: from, authorization: "Bearer secret" },
      { url: to, authorization: null },
    ]);
  }
});

test("the token goes along a redirect within its own origin", async () => {
  const [from, to] = ["https://hub.example/file", "https://hub.example/other"];
  const asked = network({ [from]: "/other" });
  await httpGet(from, { token: "secret", signal });
  expect(asked.at(-1)).toEqual({ url: to, authorization: "Bearer secret" });
});
