import type { X402Settings } from "./settings.ts";
import type { Presented, PresentedPermit, Requirements } from "./wire.ts";

/**
 * How long an authorization is asked to be good: enough to sign, to settle, and to send it again
 * where an answer was lost.
 */
const timeoutS = 300;
/** What is settled after the answer has to be good for longer than an answer can take. */
const uptoTimeoutS = 3_600;

/** What a request that may cost so much is to be paid with. */
export function requirementsOf(settings: X402Settings, micros: bigint): Requirements {
  return {
    scheme: "exact",
    network: settings.network,
    amount: micros.toString(),
    asset: settings.asset,
    payTo: settings.payTo,
    maxTimeoutSeconds: timeoutS,
    extra: { name: settings.assetName, version: settings.assetVersion },
  };
}

/** The same, to be signed as the most that may be taken once the request has cost something. */
export function uptoRequirementsOf(
  settings: X402Settings,
  facilitator: string,
  micros: bigint,
): Requirements {
  const { extra, ...exact } = requirementsOf(settings, micros);
  return {
    ...exact,
    scheme: "upto",
    maxTimeoutSeconds: uptoTimeoutS,
    extra: { ...extra, assetTransferMethod: "permit2", facilitatorAddress: facilitator },
  };
}

/** All that a request can be paid with, what everybody can sign first. */
export function offersOf(settings: X402Settings, micros: bigint): readonly Requirements[] {
  const { uptoFacilitator } = settings;
  const exact = requirementsOf(settings, micros);
  return uptoFacilitator === null
    ? [exact]
    : [exact, uptoRequirementsOf(settings, uptoFacilitator, micros)];
}

/**
 * Why what was accepted is not what we ask, or null where it is; how much it must be is the
 * Account's to say, which knows what the payer has beside it.
 */
export function whyNotAsAsked(
  { accepted, payload: { authorization } }: Presented,
  settings: X402Settings,
): string | null {
  const { payTo } = settings;
  const otherwise = whyNotAccepted(accepted, settings, "exact");
  if (otherwise !== null) return otherwise;
  if (authorization.to !== payTo) return `it is signed for ${authorization.to}, not ${payTo}`;
  if (authorization.value !== accepted.amount) {
    return `it is signed for ${authorization.value}, and ${accepted.amount} was accepted`;
  }
  return null;
}

/** Why a scheme's terms are not ours; null where they are. */
export function whyNotAccepted(
  accepted: (Presented | PresentedPermit)["accepted"],
  { network, asset, payTo, assetName, assetVersion }: X402Settings,
  scheme: Requirements["scheme"],
): string | null {
  if (accepted.scheme !== scheme) return `the scheme must be ${scheme}, not ${accepted.scheme}`;
  if (accepted.network !== network) {
    return `the network must be ${network}, not ${accepted.network}`;
  }
  if (accepted.asset !== asset) return `the asset must be ${asset}, not ${accepted.asset}`;
  if (accepted.payTo !== payTo) return `it must go to ${payTo}, not ${accepted.payTo}`;
  if (accepted.extra?.["name"] !== assetName || accepted.extra["version"] !== assetVersion) {
    return `extra must name the token's domain, ${assetName} version ${assetVersion}`;
  }
  return null;
}
