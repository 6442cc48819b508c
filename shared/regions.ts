/** Cloudflare's location hints: the regions hubs are created in. */
export const regions = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;

export type Region = (typeof regions)[number];

export function isRegion(value: unknown): value is Region {
  return regions.some((region) => region === value);
}

/** What `request.cf` tells of a connection's place; every field may be missing. */
export interface ConnectionPlace {
  readonly continent?: string | undefined;
  readonly country?: string | undefined;
  readonly longitude?: string | undefined;
}

const middleEast = new Set("AE BH CY EG IL IQ IR JO KW LB OM PS QA SA SY TR YE".split(" "));

/**
 * The region of a connection. North America splits at 100° west and Europe at 15° east, the
 * meridians nearest to the middle between the data centres on either side. A connection without a
 * place is `weur`.
 */
export function regionOf(place: ConnectionPlace): Region {
  if (place.country !== undefined && middleEast.has(place.country)) return "me";
  const longitude = Number(place.longitude ?? Number.NaN);
  switch (place.continent) {
    case "NA":
      return longitude < -100 ? "wnam" : "enam";
    case "SA":
      return "sam";
    case "EU":
      return longitude >= 15 ? "eeur" : "weur";
    case "AS":
      return "apac";
    case "OC":
      return "oc";
    case "AF":
      return "afr";
    default:
      return "weur";
  }
}

/** A city of Cloudflare's near the middle of each region's people: latitude and longitude. */
const cities: Readonly<Record<Region, readonly [number, number]>> = {
  wnam: [37.3, -121.9],
  enam: [39.0, -77.5],
  sam: [-23.5, -46.6],
  weur: [50.1, 8.7],
  eeur: [52.2, 21.0],
  apac: [1.4, 103.8],
  oc: [-33.9, 151.2],
  afr: [-26.2, 28.0],
  me: [25.3, 55.3],
};

const earthRadiusKm = 6_371;

/** Along the great circle between the two regions' cities (haversine formula), in kilometres. */
export function distanceKm(from: Region, to: Region): number {
  return kilometres[from][to];
}

const kilometres = byRegion((from) => byRegion((to) => greatCircleKm(cities[from], cities[to])));

function byRegion<T>(of: (region: Region) => T): Readonly<Record<Region, T>> {
  return Object.fromEntries(regions.map((region) => [region, of(region)])) as Record<Region, T>;
}

function greatCircleKm(from: readonly [number, number], to: readonly [number, number]): number {
  const [fromLatitude, toLatitude] = [radians(from[0]), radians(to[0])];
  const half =
    Math.sin((toLatitude - fromLatitude) / 2) ** 2 +
    Math.cos(fromLatitude) *
      Math.cos(toLatitude) *
      Math.sin((radians(to[1]) - radians(from[1])) / 2) ** 2;
  return 2 * earthRadiusKm * Math.asin(Math.sqrt(half));
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
