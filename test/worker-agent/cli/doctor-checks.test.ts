import { expect, test } from "vitest";
import { levelOf } from "../../../worker-agent/cli/check.ts";
import { accountCheck } from "../../../worker-agent/cli/check-account.ts";
import { checkClock, checkProxies } from "../../../worker-agent/cli/check-edge.ts";
import { checkBackend, checkGpus } from "../../../worker-agent/cli/check-gpus.ts";
import { checkOpenFiles, openFilesLimit } from "../../../worker-agent/cli/check-machine.ts";
import { checkOwner, folderFault } from "../../../worker-agent/cli/check-state-dir.ts";
import { checkUpstreams } from "../../../worker-agent/cli/check-upstreams.ts";
import { networkFault } from "../../../worker-agent/cli/network-fault.ts";
import type { Gpu } from "../../../worker-agent/hardware/gpu.ts";
import { ollamaRoutes } from "../upstream/recorded-ollama.ts";
import { RecordedServer } from "../upstream/recorded-server.ts";

const edge = new URL("https://edge.example:8443/base");

/** An error as Node throws it: the reason is a code, mostly of the cause. */
function failure(code: string, message: string, isDirect = false): Error {
  const reason = Object.assign(new Error(message), { code });
  return isDirect ? reason : new TypeError("fetch failed", { cause: reason });
}

test.for([
  ["ENOTFOUND", "getaddrinfo ENOTFOUND edge.example", "cannot be resolved", "DNS"],
  ["EAI_AGAIN", "getaddrinfo EAI_AGAIN edge.example", "cannot be resolved", "DNS"],
  ["ECONNREFUSED", "connect ECONNREFUSED 10.0.0.1:8443", "refuses connections", "port"],
  ["CERT_HAS_EXPIRED", "certificate has expired", "no secure connection", "clock"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate", "no secure", "NODE_EXTRA_CA_CERTS"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "Host: edge.example. is not in", "no secure", "NODE_EXTRA"],
  ["EPROTO", "0:error:0A00010B:SSL routines::wrong version number", "no secure", "http://"],
  ["EHOSTUNREACH", "connect EHOSTUNREACH 10.0.0.1", "no way to", "network"],
  ["ENETUNREACH", "connect ENETUNREACH 10.0.0.1", "no way to", "network"],
  ["ETIMEDOUT", "connect ETIMEDOUT 10.0.0.1:8443", "does not answer in time", "firewall"],
  ["UND_ERR_CONNECT_TIMEOUT", "Connect Timeout Error", "does not answer in time", "firewall"],
  ["ECONNRESET", "read ECONNRESET", "ends connections at once", "firewall"],
  ["EWEIRD", "something else", "cannot be reached: something else", "--edge"],
] as const)("%s is told apart, with its remedy", ([code, message, found, remedy]) => {
  for (const isDirect of [true, false]) {
    const fault = networkFault(edge, failure(code, message, isDirect));
    expect(fault.found).toContain(found);
    expect(fault.remedy).toContain(remedy);
  }
});

test("a host of two addresses, a timeout and what is no error at all are told too", () => {
  const each = [failure("ECONNREFUSED", "connect ECONNREFUSED ::1:8443", true)];
  expect(networkFault(edge, new AggregateError(each)).found).toContain("refuses");
  const late = new DOMException("The operation was aborted due to timeout", "TimeoutError");
  expect(networkFault(edge, late).found).toContain("in time");
  expect(networkFault(edge, "no").found).toContain("no reason is told");
});

const refused = { at_ms: 2, kind: "disconnected", detail: "not taken on", code: 4403 } as const;
const broken = { ...refused, code: 1006 };

test.for([
  ["acct_1", [], "ok", "acct_1 has taken this worker on", null],
  [null, [refused], "failure", "acct_1 has not taken this worker on", "its owner runs: octo"],
  [null, [refused, broken], "ok", "where it has not taken this worker on", null],
  [null, [], "ok", "where it has not taken this worker on, its owner runs: octo workers add", null],
] as const)("a running worker of account %s is asked", ([account, connections, ...expected]) => {
  const status = { account, connections: [...connections] };
  const check = accountCheck({ account: "acct_1", worker: "-w", status });
  const [level, found, remedy] = expected;
  expect(levelOf(check)).toBe(level);
  expect(check.found).toContain(found);
  if (remedy === null) expect(check.remedy).toBeNull();
  else expect(check.remedy).toContain(`${remedy} workers add -- -w`);
});

const noon = Date.parse("Fri, 20 Nov 2026 12:00:00 GMT");
const dateHeader = "Fri, 20 Nov 2026 12:00:00 GMT";

test.for([
  ["the same", 0, "ok", "as the edge's"],
  ["within the edge's whole second", 999, "ok", "as the edge's"],
  ["a little ahead", 20_000, "ok", "19 s ahead of the edge's"],
  ["ahead", 45_000, "warning", "44 s ahead of the edge's"],
  ["behind", -3_600_000, "warning", "3600 s behind the edge's"],
] as const)("a clock that is %s", ([, offMs, level, found]) => {
  const nowMs = noon + offMs;
  const check = checkClock({ dateHeader, sentMs: nowMs, heardMs: nowMs });
  expect([levelOf(check), check.found]).toEqual([level, found]);
});

test("a slow answer is no wrong clock, and an edge without a date is not compared", () => {
  const slow = { dateHeader, sentMs: noon - 50_000, heardMs: noon + 50_000 };
  expect(checkClock(slow).found).toBe("as the edge's");
  expect(checkClock({ ...slow, dateHeader: null }).remedy).toBeNull();
  expect(checkClock({ ...slow, dateHeader: "noonish" }).found).toContain("not compared");
});

test("proxy variables are told, because a worker does not use them", () => {
  expect(checkProxies({})).toEqual([]);
  expect(checkProxies({ HTTPS_PROXY: "" })).toEqual([]);
  const [check] = checkProxies({ HTTPS_PROXY: "http://p:1", all_proxy: "socks://p:2" });
  expect(check).toMatchObject({
    found: "HTTPS_PROXY, all_proxy are set, and not used",
    isWarning: true,
  });
});

const limits = (value: string) =>
  `Limit                     Soft Limit           Hard Limit           Units
Max open files            ${value.padEnd(20)} 1048576              files
`;

test("the number of files a process may have open is read where Linux tells it", () => {
  expect(openFilesLimit(limits("1024"))).toBe(1024);
  expect(openFilesLimit(limits("unlimited"))).toBe(Infinity);
  expect(openFilesLimit("")).toBeNull();
  expect(levelOf(checkOpenFiles(256))).toBe("warning");
  expect(levelOf(checkOpenFiles(1024))).toBe("ok");
  expect(checkOpenFiles(Infinity).found).toContain("any number");
});

test("a folder of somebody else's, or one that is full, says what to do", () => {
  const found = (uid: number, mode: number) => checkOwner("/state", { uid, mode }, 1000);
  expect(found(1000, 0o40700)).toEqual([]);
  expect(found(0, 0o40700)[0]?.remedy).toContain("chown -R 1000 /state");
  expect(found(1000, 0o40775)[0]?.remedy).toBe("chmod 700 /state");
  expect(checkOwner("/state", { uid: 0, mode: 0o777 }, null)).toEqual([]);
  const full = Object.assign(new Error("write"), { code: "ENOSPC" });
  expect(folderFault("/state", full).found).toContain("the disk is full");
  const denied = Object.assign(new Error("denied"), { code: "EACCES" });
  expect(folderFault("/state", denied).remedy).toContain("make /state writable");
});

const card: Gpu = {
  vendor: "nvidia",
  name: "NVIDIA GeForce RTX 4090",
  memoryBytes: 24_564 * 2 ** 20,
  freeBytes: null,
  driver: "550.54.14",
  isUnified: false,
};
const onProcessor = { kind: "loaded", gpu: null, devices: [], memoryBytes: 0 } as const;
const machine = { cpu: "A processor", physicalCores: 8, memoryBytes: 2 ** 34 };

test("a card that llama.cpp does not use is a failure that names what is missing", () => {
  const check = checkBackend(onProcessor, { ...machine, gpus: [card] });
  expect(levelOf(check)).toBe("failure");
  expect(check.found).toContain("NVIDIA GeForce RTX 4090 is idle");
  expect(check.remedy).toMatch(/@node-llama-cpp\/.*-cuda .*CUDA runtime.*--gpu none/);
});

test("a card in use, no card, and a processor's own graphics are well", () => {
  const memoryBytes = 24_000 * 2 ** 20;
  const used = { kind: "loaded", gpu: "cuda", devices: [card.name], memoryBytes } as const;
  expect(checkBackend(used, { ...machine, gpus: [card] })).toMatchObject({
    found: "computes by cuda on NVIDIA GeForce RTX 4090, 24000 MiB",
    remedy: null,
  });
  expect(checkBackend(onProcessor, { ...machine, gpus: [] }).remedy).toBeNull();
  const shared: Gpu = { ...card, vendor: "amd", name: "Raphael", memoryBytes: 512 * 2 ** 20 };
  expect(checkBackend(onProcessor, { ...machine, gpus: [shared] }).remedy).toBeNull();
});

test("a llama.cpp that cannot be loaded is a warning: other engines may serve", () => {
  const broken = { kind: "failed", reason: "NoBinaryFoundError" } as const;
  const check = checkBackend(broken, { ...machine, gpus: [] });
  expect([levelOf(check), check.found]).toEqual([
    "warning",
    "cannot be loaded: NoBinaryFoundError",
  ]);
});

test("a driver's fault is said with its remedy, and not where no card is to be used", async () => {
  const fault = { vendor: "nvidia", found: "nvidia-smi fails", remedy: "reboot" } as const;
  const ill = { ...machine, gpus: [card], faults: [fault] };
  expect(await checkGpus({ gpu: "none" }, ill)).toHaveLength(1);
  const told = await checkGpus({ gpu: "auto" }, { ...ill, gpus: [] });
  expect(told[0]).toEqual({
    name: "GPU",
    found: "nvidia-smi fails",
    remedy: "reboot; or say --gpu none",
  });
  expect(told[1]?.name).toBe("llama.cpp");
});

const given = (url: string) => ({ look: "given", urls: [url], models: [], key: null }) as const;

test("a server that was named is told with its kind, version and models", async () => {
  await using server = await RecordedServer.start(ollamaRoutes());
  const [check] = await checkUpstreams(given(server.url));
  expect(check).toMatchObject({ name: "Server", remedy: null });
  expect(check?.found).toMatch(/^ollama \d\S* at http:\/\/127\.0\.0\.1:\d+: \d+ models?$/);
});

test("a server that is no server of models, or is not there, is a failure", async () => {
  await using server = await RecordedServer.start({});
  const [other] = await checkUpstreams(given(server.url));
  expect(other && levelOf(other)).toBe("failure");
  expect(other?.found).toContain("is no server of models");
  await server[Symbol.asyncDispose]();
  const [gone] = await checkUpstreams(given(server.url));
  expect(gone && levelOf(gone)).toBe("failure");
  expect(gone?.remedy).toContain("start it");
  expect(await checkUpstreams({ ...given(server.url), look: "none" })).toEqual([]);
});
