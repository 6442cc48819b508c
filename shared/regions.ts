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

/** Degrees north and east of a place. */
interface Place {
  readonly latitude: number;
  readonly longitude: number;
}

/**
 * A place to stand for each region: a city with a data centre near where most of its people are.
 * Cloudflare publishes no centres of its location hints, and objects are placed by best effort, so
 * a degree more or less decides nothing.
 */
const centreByRegion: Record<Region, Place> = {
  // San José
  wnam: { latitude: 37.3, longitude: -121.9 },
  // Ashburn
  enam: { latitude: 39.0, longitude: -77.5 },
  // São Paulo
  sam: { latitude: -23.6, longitude: -46.6 },
  // Paris
  weur: { latitude: 48.9, longitude: 2.4 },
  // Warsaw
  eeur: { latitude: 52.2, longitude: 21.0 },
  // Hong Kong
  apac: { latitude: 22.3, longitude: 114.2 },
  // Sydney
  oc: { latitude: -33.9, longitude: 151.2 },
  // Johannesburg
  afr: { latitude: -26.2, longitude: 28.0 },
  // Dubai
  me: { latitude: 25.2, longitude: 55.3 },
};

/** The mean radius of the earth (IUGG, R₁). */
const earthKm = 6_371;

/** Along a great circle, by the haversine formula, which is exact enough on a sphere. */
function greatCircleKm(a: Place, b: Place): number {
  const radians = (degrees: number) => (degrees * Math.PI) / 180;
  const half = (degrees: number) => Math.sin(radians(degrees) / 2) ** 2;
  const chord =
    half(b.latitude - a.latitude) +
    Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * half(b.longitude - a.longitude);
  return Math.round(2 * earthKm * Math.asin(Math.sqrt(Math.min(1, chord))));
}

const kmByRegions = new Map(
  regions.map((a) => [
    a,
    new Map(regions.map((b) => [b, greatCircleKm(centreByRegion[a], centreByRegion[b])])),
  ]),
);

/** Kilometres between the centres of two regions: 0 within one, the same both ways. */
export function distanceKm(a: Region, b: Region): number {
  return kmByRegions.get(a)?.get(b) ?? 0;
}

const regionsByRegion = new Map(
  regions.map((from) => [
    from,
    regions.toSorted((a, b) => distanceKm(from, a) - distanceKm(from, b)),
  ]),
);

/** All regions, the nearest first: a region itself, then the others by distance. */
export function regionsByDistance(region: Region): readonly Region[] {
  return regionsByRegion.get(region) ?? regions;
}
