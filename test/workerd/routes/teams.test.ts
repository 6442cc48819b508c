import { describe, expect, test } from "vitest";
import { call, refusal } from "./edge-client.ts";
import { newOwner } from "./people.ts";

async function newTeam(key: string, body: object = {}) {
  const made = await call("POST /api/v1/teams", { key, body: { name: "research", ...body } });
  return { ...made, id: String(made.json["id"]) };
}

async function newProject(key: string, body: object = {}) {
  const made = await call("POST /api/v1/projects", { key, body: { name: "search", ...body } });
  return { ...made, id: String(made.json["id"]) };
}

describe.each([
  ["teams", newTeam],
  ["projects", newProject],
] as const)("%s", (resource, make) => {
  test("one is made, renamed and limited, and keeps what was not changed", async () => {
    const { token: key } = await newOwner();
    const limits = { requests_per_minute: 60, models: { "octo-tiny": { concurrency: 2 } } };
    const made = await make(key, { limits });
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({ limits, archived_at: null });
    const path = `/api/v1/${resource}/${made.id}`;
    const named = await call(`PATCH ${path}`, { key, body: { name: "other" } });
    expect(named.json).toEqual({ ...made.json, name: "other" });
    const limited = await call(`PATCH ${path}`, {
      key,
      body: { limits: { day_budget_micros: 0, budget_end: "soft" } },
    });
    expect(limited.json).toEqual({
      ...named.json,
      limits: { day_budget_micros: 0, budget_end: "soft" },
    });
    const free = await call(`PATCH ${path}`, { key, body: { limits: null } });
    expect(free.json).toEqual({ ...named.json, limits: null });
    expect((await call(`GET /api/v1/${resource}`, { key })).json["data"]).toEqual([free.json]);
  });

  test("an archived one is listed where it is asked for, and changes no more", async () => {
    const { token: key } = await newOwner();
    const { id } = await make(key);
    const path = `/api/v1/${resource}/${id}`;
    const archived = await call(`DELETE ${path}`, { key });
    expect(archived.json).toMatchObject({ id, archived_at: expect.any(String) });
    expect((await call(`DELETE ${path}`, { key })).json).toEqual(archived.json);
    expect((await call(`GET /api/v1/${resource}`, { key })).json["data"]).toEqual([]);
    const all = await call(`GET /api/v1/${resource}?archived=true`, { key });
    expect(all.json["data"]).toEqual([archived.json]);
    for (const body of [{ name: "again" }, { limits: { concurrency: 1 } }]) {
      expect((await refusal(`PATCH ${path}`, { key, body })).code).toBe("conflict");
    }
  });

  test.each([
    ["a negative budget", { limits: { day_budget_micros: -1 } }, "limits.day_budget_micros"],
    ["a fraction", { limits: { concurrency: 0.5 } }, "limits.concurrency"],
    ["over 2^53", { limits: { month_budget_micros: 2 ** 53 } }, "limits.month_budget_micros"],
    ["text for a number", { limits: { requests_per_minute: "60" } }, "limits.requests_per_minute"],
    ["an unknown limit", { limits: { tokens_per_day: 5 } }, "limits.tokens_per_day"],
    ["no name", { name: " " }, "name"],
  ])("%s is refused by name", async (_, body, param) => {
    const { token: key } = await newOwner();
    const { status, json } = await make(key, body);
    expect([status, json["error"]]).toMatchObject([400, { param }]);
  });

  test("an account has a hundred, also when asked at the same time; archiving makes room", async () => {
    const { token: key } = await newOwner();
    const ids: string[] = [];
    for (let i = 0; i < 9; i++) {
      const made = await Promise.all(Array.from({ length: 11 }, () => make(key)));
      ids.push(...made.map(({ id }) => id));
    }
    const last = await Promise.all(Array.from({ length: 4 }, () => make(key)));
    expect(last.map(({ status }) => status).toSorted()).toEqual([201, 409, 409, 409]);
    await call(`DELETE /api/v1/${resource}/${ids[0]}`, { key });
    expect((await make(key)).status).toBe(201);
  });
});

test("a project is in a team of its own account that is not archived", async () => {
  const [{ token: key }, other] = [await newOwner(), await newOwner()];
  const team = await newTeam(key);
  const inside = await newProject(key, { team_id: team.id });
  await newProject(key);
  expect(inside.json).toMatchObject({ team_id: team.id });
  const listed = await call(`GET /api/v1/projects?team_id=${team.id}`, { key });
  expect(listed.json["data"]).toEqual([inside.json]);
  const foreign = await newProject(other.token, { team_id: team.id });
  expect([foreign.status, foreign.json["error"]]).toMatchObject([404, { param: "team_id" }]);
  const early = await refusal(`DELETE /api/v1/teams/${team.id}`, { key });
  expect(early).toMatchObject({ status: 409, code: "conflict" });
  await call(`DELETE /api/v1/projects/${inside.id}`, { key });
  expect((await call(`DELETE /api/v1/teams/${team.id}`, { key })).status).toBe(200);
  const late = await newProject(key, { team_id: team.id });
  expect([late.status, late.json["error"]]).toMatchObject([409, { param: "team_id" }]);
});
