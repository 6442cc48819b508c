import type { X402Settings } from "./settings.ts";
import type { Presented, Requirements } from "./wire.ts";

/**
 * How long an authorization is asked to be good: enough to sign, to settle, and to send it again
 * where an answer was lost.
 */
const timeoutS = 300;

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

/**
 * Why what was accepted is not what we ask, or null where it is; how much it must be is the
 * Account's to say, which knows what the payer has beside it.
 */
export function whyNotAsAsked(
  { accepted, payload: { authorization } }: Presented,
  settings: X402Settings,
): string | null {
  const { network, asset, payTo, assetName, assetVersion } = settings;
  if (accepted.scheme !== "exact") return `the scheme must be exact, not ${accepted.scheme}`;
  if (accepted.network !== network) {
    return `the network must be ${network}, not ${accepted.network}`;
  }
  if (accepted.asset !== asset) return `the asset must be ${asset}, not ${accepted.asset}`;
  if (accepted.payTo !== payTo) return `it must go to ${payTo}, not ${accepted.payTo}`;
  if (accepted.extra?.["name"] !== assetName || accepted.extra["version"] !== assetVersion) {
    return `extra must name the token's domain, ${assetName} version ${assetVersion}`;
  }
  if (authorization.to !== payTo) return `it is signed for ${authorization.to}, not ${payTo}`;
  if (authorization.value !== accepted.amount) {
    return `it is signed for ${authorization.value}, and ${accepted.amount} was accepted`;
  }
  return null;
}
