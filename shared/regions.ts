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
