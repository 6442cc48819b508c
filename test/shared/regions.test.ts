import { describe, expect, test } from "vitest";
import { distanceKm, isRegion, regionOf, regions } from "../../shared/regions.ts";

describe("regions", () => {
  test.each([
    ["Seattle", { continent: "NA", country: "US", longitude: "-122.3" }, "wnam"],
    ["New York", { continent: "NA", country: "US", longitude: "-74.0" }, "enam"],
    ["the meridian itself", { continent: "NA", longitude: "-100" }, "enam"],
    ["São Paulo", { continent: "SA", country: "BR", longitude: "-46.6" }, "sam"],
    ["Berlin", { continent: "EU", country: "DE", longitude: "13.4" }, "weur"],
    ["Warsaw", { continent: "EU", country: "PL", longitude: "21.0" }, "eeur"],
    ["Tokyo", { continent: "AS", country: "JP", longitude: "139.7" }, "apac"],
    ["Sydney", { continent: "OC", country: "AU", longitude: "151.2" }, "oc"],
    ["Lagos", { continent: "AF", country: "NG", longitude: "3.4" }, "afr"],
    ["Dubai, on the continent of Asia", { continent: "AS", country: "AE" }, "me"],
    ["Cairo, on the continent of Africa", { continent: "AF", country: "EG" }, "me"],
    ["North America without a longitude", { continent: "NA" }, "enam"],
    ["Europe with a longitude that is no number", { continent: "EU", longitude: "x" }, "weur"],
    ["Antarctica", { continent: "AN" }, "weur"],
    ["nowhere", {}, "weur"],
  ])("a connection from %s belongs to its region", (_place, place, region) => {
    expect(regionOf(place)).toBe(region);
  });

  test("every region is one, and nothing else is", () => {
    for (const region of regions) expect(isRegion(region)).toBe(true);
    for (const other of ["", "WEUR", "weur:0", "constructor", null, 1, ["weur"]]) {
      expect(isRegion(other)).toBe(false);
    }
  });
});

test("distances are as on the globe, the same both ways, and none to oneself", () => {
  for (const from of regions) {
    expect(distanceKm(from, from)).toBe(0);
    for (const to of regions) {
      expect(distanceKm(from, to)).toBeCloseTo(distanceKm(to, from), 6);
      // Half of the equator is the longest way.
      expect(distanceKm(from, to)).toBeLessThan(20_040);
    }
  }
  // Frankfurt to Ashburn, and San Jose to Sydney, by any atlas.
  expect(distanceKm("weur", "enam")).toBeGreaterThan(6_400);
  expect(distanceKm("weur", "enam")).toBeLessThan(6_700);
  expect(distanceKm("wnam", "oc")).toBeGreaterThan(11_800);
  expect(distanceKm("wnam", "oc")).toBeLessThan(12_100);
});
