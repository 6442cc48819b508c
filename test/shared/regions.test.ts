import { describe, expect, test } from "vitest";
import {
  distanceKm,
  isRegion,
  regionOf,
  regions,
  regionsByDistance,
} from "../../shared/regions.ts";

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

describe("distances between regions", () => {
  test("are none within a region, and the same both ways", () => {
    for (const a of regions) {
      expect(distanceKm(a, a)).toBe(0);
      for (const b of regions) expect(distanceKm(a, b)).toBe(distanceKm(b, a));
    }
  });

  test.each([
    // By airport tables: CDG–WAW 1,342 km, IAD–SJC 3,840 km, SYD–GRU 13,300 km.
    ["weur", "eeur", 1_370],
    ["enam", "wnam", 3_850],
    ["oc", "sam", 13_370],
  ] as const)("from %s to %s are about %d km", (a, b, km) => {
    expect(Math.abs(distanceKm(a, b) - km)).toBeLessThan(0.02 * km);
  });

  test("order the regions as a consumer tries them: its own, then the next", () => {
    expect(regionsByDistance("weur").slice(0, 3)).toEqual(["weur", "eeur", "me"]);
    expect(regionsByDistance("wnam").slice(0, 2)).toEqual(["wnam", "enam"]);
    expect(regionsByDistance("oc").slice(0, 2)).toEqual(["oc", "apac"]);
    for (const region of regions) {
      expect(regionsByDistance(region).toSorted()).toEqual(regions.toSorted());
    }
  });
});
